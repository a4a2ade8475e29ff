"""The evaluation in other tools: sentence-transformers, MTEB, ir_measures, model cards.

``evaluator`` plugs into the trainer of sentence-transformers, ``mteb`` into ``mteb.evaluate``,
``trec`` exchanges runs and judgments with ir_measures, ir_datasets and pytrec_eval, ``card`` writes
results into a model's card. Nothing is imported here: each part brings its own library.
"""
