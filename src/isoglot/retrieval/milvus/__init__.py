"""Passages in a Milvus collection: embedded in a file (Milvus Lite) or on a cluster, the same code.

``connection`` speaks with the server and says in one line what it refuses, ``entities`` is what a
passage is there, ``collection`` what a collection is made of and holds, ``engine`` searches and
changes one, ``loading`` fills one from embeddings.
"""

from isoglot.retrieval.milvus.collection import IndexChoice, choose_index
from isoglot.retrieval.milvus.connection import TOKEN
from isoglot.retrieval.milvus.engine import MilvusEngine
from isoglot.retrieval.milvus.loading import load_embeddings

__all__ = ["TOKEN", "IndexChoice", "MilvusEngine", "choose_index", "load_embeddings"]
