"""A bucket that serves a folder's files with Firebase Storage's interface, and can damage them."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

PREFIX = "/v0/b/demo-guide.appspot.com/o/"


@contextlib.contextmanager
def serving(folder, damage=lambda name, content: content):
    """Serve a folder with Firebase Storage's interface to signed-in users."""

    class Bucket(BaseHTTPRequestHandler):
        def do_GET(self):
            name = unquote(urlsplit(self.path).path.removeprefix(PREFIX))
            path = folder / name
            is_there = path.is_file() and self.headers.get("Authorization", "").startswith("Firebase ")
            self.send_response(200 if is_there else 404)
            self.end_headers()
            self.wfile.write(damage(name, path.read_bytes()) if is_there else b"{}")

        def log_message(self, *_):
            pass

    bucket = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    thread = threading.Thread(target=bucket.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{bucket.server_port}"
    bucket.shutdown()
    bucket.server_close()
    thread.join()
