"""The paper's statements judged: by its own tables, and by given runs. No torch.

``statements`` says what they are, ``as_published`` judges the published tables, ``facts`` and
``effects`` the runs from the ``evidence`` that ``pipeline.claims`` reads, ``low_resource`` goes
through languages and pairs, ``page`` writes it down.
"""
