"""The reference client and the modules that an app copies with it, type-checked against the SDK's own types."""

import json
import shutil
import subprocess

from local.stack import ROOT
from tests.missing import skip_without

COMPILER = ROOT / "emulator" / "tests" / "conformance" / "node_modules" / ".bin" / "tsc"
STRICT = {
    "noEmit": True, "allowJs": True, "checkJs": True, "strict": True, "skipLibCheck": True, "target": "es2022",
    "module": "esnext", "moduleResolution": "bundler", "lib": ["es2022", "dom", "dom.iterable"], "types": [],
}  # fmt: skip

COPIED = ("client.js", "library.js", "library-match.js", "library-import.js")


def test_the_reference_client_type_checks_with_the_sdks_types(tmp_path):
    if not COMPILER.exists() or shutil.which("node") is None:
        skip_without("the TypeScript compiler is not installed: `make .setup/conformance` does it")
    project = {"compilerOptions": STRICT, "files": [str(ROOT / "web" / name) for name in COPIED]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(project))
    done = subprocess.run([COMPILER, "-p", tmp_path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
