"""The page as a browser shows it, on a telephone and on a desk, in the light and in the dark."""

from __future__ import annotations

import html
import json
import re
import shutil

import pytest
from commands import run
from processes import completed

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
pytestmark = pytest.mark.skipif(not BROWSER, reason="no Chromium here")
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
PROBE = """
<script>
addEventListener('load', async () => {
  const pause = () => new Promise(done => setTimeout(done, 50));
  const fits = () => document.scrollingElement.scrollWidth <= innerWidth;
  const seen = new Set(), found = {width: innerWidth, fits: fits(), images: document.images.length};
  found.dark = matchMedia('(prefers-color-scheme: dark)').matches;
  for (const tab of document.querySelectorAll('.tabs > input')) {
    const outer = tab.closest('.panel');
    if (outer) outer.previousElementSibling.previousElementSibling.checked = true;
    tab.checked = true;
    await pause();
    found.fits &&= fits();
    look();
  }
  look();
  function look() {
    for (const image of document.images) {
      const box = image.getBoundingClientRect();
      if (image.naturalWidth > 50 && box.width > 50 && box.left >= 0 && box.right <= innerWidth)
        seen.add(image);
    }
  }
  found.seen = seen.size;
  const image = [...document.images].find(i => i.getBoundingClientRect().width > 50);
  const before = image.getBoundingClientRect().width;
  image.closest('label').click();
  await pause();
  found.larger = image.getBoundingClientRect().width > before;
  found.over = getComputedStyle(image.closest('label')).position;
  image.closest('label').click();
  await pause();
  found.back = image.getBoundingClientRect().width === before;
  const luminance = text => {
    const [r, g, b] = text.match(/\\d+/g).map(Number);
    return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
  };
  const style = getComputedStyle(document.body);
  found.contrast = Math.abs(luminance(style.color) - luminance(style.backgroundColor));
  parent.postMessage(JSON.stringify(found), '*');
});
</script></body>"""
FRAME = """<!doctype html><title>nothing</title><link rel="icon" href="data:,"><body>
<iframe src="{source}" style="width: {width}px; height: 900px; border: 0"></iframe>
<script>onmessage = event => {{ document.title = 'found ' + event.data; }}</script></body>"""
"""A window of a browser is never narrower than 500 pixels; a frame is as wide as it is told."""


def shown(page, folder, *flags):
    """Run the browser on the page: its document in the end."""
    done = completed(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         f"--user-data-dir={folder / 'profile'}", "--window-size=1400,1000",
         "--virtual-time-budget=20000", *flags, "--dump-dom", page.as_uri()],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def written(made, tmp_path_factory):
    """Pages of two models, of one result, and of one that is not to be trusted."""
    folder = tmp_path_factory.mktemp("pages")
    names = {"several": ("line0.h5", "line1.h5", "flat.h5"), "one": ("ode.h5",),
             "poor": ("poor.h5",)}  # fmt: skip
    for page, results in names.items():
        run("report", *(made / name for name in results), "-o", folder / f"{page}.html")
    return [folder / f"{page}.html" for page in names]


def test_the_browser_has_no_complaint(written, tmp_path):
    for page in written:
        assert "<h1>" in shown(page, tmp_path)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_figure_is_seen_and_nothing_scrolls_sideways(written, tmp_path, width, scheme):
    dark = ("--blink-settings=preferredColorScheme=0",) if scheme == "dark" else ()
    for page in written:
        text, policies = POLICY.subn("", page.read_text())
        assert policies == 1  # it forbids all scripts, that of the test among them
        (tmp_path / page.name).write_text(text.replace("</body>", PROBE))
        frame = tmp_path / f"frame.{page.name}"
        frame.write_text(FRAME.format(source=page.name, width=width))
        document = shown(frame, tmp_path, *dark)
        found = json.loads(html.unescape(re.search(r"<title>found (.*)</title>", document)[1]))
        assert found["width"] == width
        assert found["fits"]
        assert found["seen"] == found["images"] > 3
        assert (found["larger"], found["over"], found["back"]) == (True, "fixed", True)
        assert found["dark"] == (scheme == "dark")
        assert found["contrast"] > 0.7
