# SPDX-License-Identifier: Apache-2.0
"""docs/consumers.md says what the libraries were found to load."""

import os

import page


def test_the_page_of_consumers_shows_the_table_of_loads():
    by_hand, mark, shown = page.PAGE.read_text().partition(page.MARK)
    assert mark, f"{page.PAGE} has no line {page.MARK}"
    if os.environ.get("MODEL_PREP_UPDATE_PAGES"):
        page.PAGE.write_text(by_hand + mark + "\n" + page.generated())
    else:
        assert shown == "\n" + page.generated()
