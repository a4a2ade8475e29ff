import gzip
import json

import pytest

from isoglot.data.squad import read_squad
from isoglot.errors import DataError
from tests.data.builders import lareqa_paragraph, squad, write_json


def test_questions_become_groups_of_one_language(tmp_path):
    paragraph = lareqa_paragraph(["Wanjala aliishi.", "Alikufa."], {"q1": 0, "q2": 1})
    paragraph["qas"] += [
        {"id": "q3", "question": "?", "answers": []},
        {"id": "q4", "question": "?", "answers": [{"answer_start": 0}], "is_impossible": True},
        {"id": 5, "question": "lost", "answers": [{"answer_start": -1}]},
    ]
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(json.dumps(squad(paragraph)).encode()))
    groups, unanswerable = read_squad(path, "swa")
    assert unanswerable == 2
    assert [group.group_id for group in groups] == ["q1", "q2", "5"]
    assert groups[0].query == {"sw": "question q1?"}
    assert groups[0].passage == {"sw": "Wanjala aliishi. Alikufa."}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r"a\.json: not in SQuAD layout; expected \{\"data\""),
        ({}, r"a\.json: not in SQuAD layout; expected a list 'data'"),
        ({"data": [1]}, r"data\[0\]: not in SQuAD layout; expected an object"),
        ({"data": [{}]}, r"a\.json: data\[0\]: .* expected a list 'paragraphs'"),
        (squad({"qas": []}), r"data\[0\]\.paragraphs\[0\]: no field 'context'"),
        (squad({"context": "c"}), r"paragraphs\[0\]: .* expected a list 'qas'"),
        (
            squad({"context": "c", "qas": [{"id": "1", "answers": []}]}),
            r"qas\[0\]: no field 'question'",
        ),
        (
            squad(
                {"context": "c", "qas": [{"id": "1", "question": "q", "answers": [{"text": "t"}]}]}
            ),
            r"answers\[0\]: answer_start must be .* got None",
        ),
        (squad({"context": "c", "qas": []}), r"no question with an answer \(0 without\)"),
    ],
)
def test_malformed_layouts(tmp_path, content, message):
    path = write_json(tmp_path / "a.json", content)
    with pytest.raises(DataError, match=message):
        read_squad(path, "en")


def test_repeated_question_id(tmp_path):
    paragraph = lareqa_paragraph(["One."], {"q": 0})
    path = write_json(tmp_path / "a.json", squad(paragraph, paragraph))
    with pytest.raises(DataError, match="question id 'q' comes twice"):
        read_squad(path, "en")
