"""The accessibility rules of axe-core, applied to a page in its current state."""

from local.stack import ROOT

AXE = ROOT / "emulator" / "tests" / "conformance" / "node_modules" / "axe-core" / "axe.min.js"
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page):
    """Return the violations that axe finds: rule, impact, and elements. From then on, nothing on the page moves.

    What fades in while axe looks has too little contrast.
    """
    page.emulate_media(reduced_motion="reduce")
    page.evaluate("document.getAnimations().forEach((animation) => animation.finish())")
    page.evaluate(AXE.read_text())
    violated = page.evaluate(
        "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}}).then(({violations}) => violations)",
        STANDARDS,
    )
    return [(each["id"], each["impact"], [node["html"] for node in each["nodes"]]) for each in violated]
