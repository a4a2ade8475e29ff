"""The HTTP service: an API to search and to compare, a page to see it, and what keeps it up.

Everything but `server` is ours to call with any object that answers as `Searches` does; FastAPI,
uvicorn and prometheus-client come with ``pip install 'isoglot[serve]'``.
"""
