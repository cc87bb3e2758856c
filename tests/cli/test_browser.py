"""The report in a real browser, from a file, with no network: it says how good the net is, and its pictures load."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--proxy-server=127.0.0.1:9",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--v=0", "--window-size=1100,900",
)  # fmt: skip

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs a browser: found no chromium or google-chrome")


def _open(page: Path, profile: Path, *more: str) -> tuple[str, list[str]]:
    """Return what the browser printed of a page, and its console's lines."""
    done = subprocess.run(
        [str(BROWSER), *QUIET, f"--user-data-dir={profile}", *more, page.as_uri()],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.parametrize("run", ["digits", "pets", "animals"])
def test_the_report_opens(run: str, workshop: Path, tmp_path: Path) -> None:
    dom, console = _open(workshop / "runs" / run / "report.html", tmp_path / "profile", "--dump-dom")
    assert console == []
    records = [json.loads(line) for line in (workshop / "runs" / run / "metrics.jsonl").read_text().splitlines()]
    accuracy = records[-1]["metrics"]["accuracy"]["value"]
    headline = re.search(r'class="value">([\d.]+)<small>%', dom)
    assert headline and float(headline[1]) == pytest.approx(100 * accuracy, abs=0.6)
    assert f"<h1>{run}</h1>" in dom
    assert dom.count("<img") >= 3 + (10 if run == "digits" else 0)
    assert f"hyperplane train --recipe runs/{run}/recipe.json" in dom


def test_its_pictures_load(workshop: Path, tmp_path: Path) -> None:
    """The page may run no script, so a page around it, whose every picture is a copy of one of its own, counts them."""
    page = (workshop / "runs" / "digits" / "report.html").read_text()
    pictures = re.findall(r'<img[^>]*src="(data:image/[^"]+)"', page)
    count = (
        "addEventListener('load', () => document.title = [...document.images].filter(i => i.naturalWidth > 0).length)"
    )
    around = tmp_path / "around.html"
    around.write_text(f"<title></title>{''.join(f'<img src={p!r}>' for p in pictures)}<script>{count}</script>")
    dom, console = _open(around, tmp_path / "profile", "--dump-dom")
    assert console == []
    assert len(pictures) > 20 and f"<title>{len(pictures)}</title>" in dom


def test_it_is_drawn(workshop: Path, tmp_path: Path) -> None:
    from PIL import Image

    shot = tmp_path / "shot.png"
    _open(workshop / "runs" / "digits" / "report.html", tmp_path / "profile", f"--screenshot={shot}")
    with Image.open(shot) as image:
        colours = image.convert("RGB").getcolors(1 << 20)
    assert colours is not None and len(colours) > 50, "the page is blank"
