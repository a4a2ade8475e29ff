import subprocess
import sys

import pytest

from isoglot.data.passages.detection import CLEAR, LEAST, Detector, fold_variety
from isoglot.errors import ConfigError

pytest.importorskip("py3langid")


@pytest.fixture(scope="module")
def detector():
    return Detector()


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("en", "The quick brown fox jumps over the lazy dog near the river."),
        ("sw", "Kiswahili ni lugha ya Kibantu inayozungumzwa katika Afrika ya Mashariki"),
        ("yo", "Àwọn ọmọ Yorùbá jẹ́ ẹ̀yà kan ní ìwọ̀ oòrùn Nàìjíríà"),
        ("ha", "Hausa harshe ne da ake magana da shi a Najeriya da Nijar"),
        ("de", "Die Würde des Menschen ist unantastbar."),
        ("ar", "اللغة العربية هي أكثر اللغات السامية تحدثا"),
        ("zh", "北京是中华人民共和国的首都"),
        ("ja", "東京は日本の首都です"),
        ("te", "తెలుగు ఆంధ్ర ప్రదేశ్ అధికార భాష"),
    ],
)  # fmt: skip
def test_languages_are_told_by_our_codes(detector, lang, text):
    found = detector.detect(text)
    assert found.lang == lang
    assert LEAST <= found.confidence <= 1


@pytest.mark.parametrize("text", ["", "1994", "Paris", "http://a.b/c?d=1", "😀", "ok\n"])
def test_what_no_language_can_be_told_of(detector, text):
    assert detector.detect(text).lang == "und"


def test_varieties_count_as_their_language(detector):
    # py3langid halves this name's probability between standard Chinese and Wu.
    assert detector.detect("北京")[0] == "zh" and detector.detect("北京").confidence > CLEAR
    assert not {"arz", "wuu", "yue", "zxx", "tl"} & detector.langs
    assert {"ar", "zh", "fil", "ig", "yo"} <= detector.langs
    assert [fold_variety(lang) for lang in ("arz", "nb", "cmn", "de")] == ["ar", "no", "zh", "de"]


def test_only_the_beginning_is_read_and_may_end_within_a_character(detector):
    thai = "ภาษาไทยเป็นภาษาที่ใช้ในประเทศไทย" * 20  # 3 bytes each: 500 bytes end within one
    assert detector.detect(thai) == detector.detect(thai + " and then English" * 1000)
    assert detector.detect(thai).lang == "th"


def test_a_choice_of_languages():
    text = "Selamat pagi semua, apa khabar hari ini"
    assert Detector(["id", "de"]).detect(text).lang == "id"
    assert Detector(["ms", "de"]).detect(text).lang == "ms"
    for among in (["id"], ["id", "de"], ["id", "de", "sw"]):
        assert Detector(among).detect("1994").lang == "und"
        assert Detector(among).detect(text).lang == "id"
    with pytest.raises(ConfigError, match=r"language 'bem' cannot be detected; those that can"):
        Detector(["en", "bem"])


def test_a_missing_package_is_named_and_not_needed_before_the_first_text():
    code = """
import sys
sys.modules["py3langid"] = None
from isoglot.data.passages.detection import Detector
from isoglot.errors import ConfigError
detector = Detector()
try:
    detector.detect("text")
except ConfigError as error:
    print(error)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert "pip install 'isoglot[search]', or state them: a column 'lang'" in result.stdout
