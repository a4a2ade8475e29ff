"""The paper's statements judged: by its own tables, and by given runs. No torch.

``statements`` says what they are, ``as_published`` judges the published tables, ``facts``,
``leaks`` and ``effects`` the runs from the ``evidence`` that ``pipeline.claims`` reads, by
``coverage`` of the paper's benchmarks; ``low_resource`` goes through languages and pairs, ``page``
writes it down.
"""
