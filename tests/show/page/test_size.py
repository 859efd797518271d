"""The page of a long trace: small enough to send, soon written, and smooth."""

import time

import numpy as np

from clearhead.show import View
from clearhead.show.page import page
from clearhead.spec import Attention


def test_a_long_trace_is_written_soon_and_small(sheet, tmp_path):
    """512 tokens and 12 heads of 64 features take 3 s of work and 25 MB, and moving through cells stays quick."""
    sizes = {"token": 512, "model": 768, "head": 12, "depth": 64, "head*depth": 768}
    working = Attention(heads=12).working()
    rng = np.random.default_rng(2)
    arrays = {
        each.name: (rng.normal(size=[sizes[word] for word in each.axes]) / 30).astype(np.float32)
        for each in working.givens
    }
    trace = working.run(arrays, tokens=[f"token{number}" for number in range(512)])
    begun = time.process_time()
    content = page(trace, View("Long"))
    assert time.process_time() - begun < 3
    assert len(content) < 25e6
    (tmp_path / "long.html").write_bytes(content)
    sheet.goto((tmp_path / "long.html").as_uri())
    sheet.wait_for_selector(".arithmetic", timeout=60_000)
    told = str(trace.explain("weights@1", 511, 0))
    assert sheet.locator(".arithmetic").get_attribute("data-text") == told
    assert sheet.locator('.card[data-line="scores"]').count() == 1
    assert sheet.locator(".numbers td").count() < 200
    took = sheet.evaluate("""() => {
      const begun = performance.now();
      for (let n = 0; n < 10; n += 1) {
        const cell = document.querySelector(".numbers td.current");
        cell.dispatchEvent(new KeyboardEvent("keydown", { key: n % 2 ? "ArrowUp" : "ArrowRight", bubbles: true }));
      }
      return (performance.now() - begun) / 10;
    }""")
    assert took < 100
