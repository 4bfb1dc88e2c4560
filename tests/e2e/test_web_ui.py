"""The web UI as a person sees it, in a real browser."""

from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.e2e.deployed import BUILD, DeployedFleet

CHROMIUM = "/usr/bin/chromium"
# Chromium's own traffic to the outside has no place in a test.
QUIET = [
    "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-gpu", "--no-sandbox",
]  # fmt: skip


def test_both_locations_are_loaded_after_login(fleet: DeployedFleet) -> None:
    user, password = fleet.password()
    picture = Path(BUILD) / "locations.png"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        try:
            # The fleet's own authority is not in the browser's store; test_doors.py verifies the certificate.
            context = browser.new_context(
                http_credentials={"username": user, "password": password}, ignore_https_errors=True,
                viewport={"width": 1280, "height": 800},
            )  # fmt: skip
            page = context.new_page()
            page.goto(f"https://{fleet.ADDRESSES['alpha']}/deployment/locations", timeout=60_000)
            for location in ("etl", "reporting", "admin"):
                row = (
                    page.locator("tr, [role=row], div")
                    .filter(has_text=location)
                    .filter(has_text="Loaded")
                    .last
                )
                row.wait_for(timeout=60_000)
            page.screenshot(path=picture)
        finally:
            browser.close()
    assert picture.stat().st_size > 0
