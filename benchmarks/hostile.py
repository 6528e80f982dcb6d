"""Hostile values and submissions by the thousand: what the suite tries a few of (``tests/report/test_hostile.py``).

Run it with ``make bench``, or by itself with a number of each and a seed. It prints how many pages were unsafe by our
own check, and what a page with all of them did in Chromium, without its content security policy; every figure is to
be 0. The texts of a seed are the same everywhere.
"""

import argparse
import shutil
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from cataloger_dagster.report.catalog import catalog_page
from cataloger_dagster.report.narrative import problems
from cataloger_dagster.report.safety import unsafe

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests import hostile, samples
from tests.report.narrated import SMALL

ADDRESS = "http://page.test/"
PAGE = 2_000


def main() -> int:
    """Try everything, print the figures, return how many are not 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--number", type=int, default=3_000, help="values, and as many submissions")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    values, submissions = hostile.values(asked.number, asked.seed), hostile.fragments(asked.number, asked.seed)
    began = time.process_time()
    taken = wrong = 0
    for submission in submissions:
        taken += not problems(submission, SMALL, {})
        reasons = unsafe(catalog_page(samples.run(previous=None), SMALL, submission, {}, []).html)
        if reasons:
            wrong += 1
            print(f"unsafe: {submission!r}: {reasons}")
    print("| submissions | refused | unsafe pages | CPU s |\n|---:|---:|---:|---:|")
    print(f"| {asked.number:,} | {asked.number - taken:,} | {wrong:,} | {time.process_time() - began:.1f} |\n")
    print("| values | submissions | unsafe | scripts run | requests | navigations | attributes that could |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), chromium_sandbox=False, args=["--disable-gpu"]
        )
        for start in range(0, asked.number, PAGE):
            some, others = values[start : start + PAGE], submissions[start : start + PAGE]
            html = hostile.page(samples.hostile(some, 40), others, SMALL)
            reasons = unsafe(catalog_page(samples.run(), samples.hostile(some, 40), None, {}, []).html)
            done = hostile.deeds(browser, html, ADDRESS)
            figures = [len(reasons), done.ran, len(done.requests), len(done.navigations), len(done.leading)]
            wrong += sum(figures)
            print(f"| {len(some):,} | {len(others):,} | {' | '.join(map(str, figures))} |", flush=True)
        browser.close()
    return wrong


if __name__ == "__main__":
    sys.exit(bool(main()))
