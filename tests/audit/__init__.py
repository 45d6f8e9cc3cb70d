"""The audit of the site: links, sizes and texts of its files, and its pages in a browser.

`python -m tests.audit [FOLDER]` prints it for a built site (book/_build/html by default).
"""
