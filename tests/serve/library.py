"""A small library in ten languages that searches itself: what the service is tested on."""

from __future__ import annotations

import math
import threading
from collections import Counter
from typing import NamedTuple

from isoglot.errors import DataError
from isoglot.serve.messages import Question

TEXTS = {
    "yoghurt": {
        "ar": "يتحول الحليب إلى زبادي حين تأكل البكتيريا سكره وتصنع حمضًا يجعله متماسكًا.",
        "en": "Milk turns into yoghurt when bacteria eat its sugar and make an acid that sets it.",
        "fa": "شیر وقتی ماست می‌شود که باکتری‌ها قند آن را بخورند و اسیدی بسازند که آن را ببندد.",
        "hi": "दूध तब दही बनता है जब जीवाणु उसकी शर्करा खाकर अम्ल बनाते हैं और वह जम जाता है।",
        "ja": "牛乳は、細菌が糖を食べて酸を作り、その酸で固まるとヨーグルトになります。",
        "ko": "우유는 세균이 당을 먹고 산을 만들어 굳어지면 요구르트가 된다.",
        "sw": "Maziwa hugeuka mtindi bakteria wanapokula sukari yake na kutengeneza tindikali.",
        "th": "นมกลายเป็นโยเกิร์ตเมื่อแบคทีเรียกินน้ำตาลในนมแล้วสร้างกรดที่ทำให้นมข้นตัว",
        "yo": "Wàrà máa ń di yógọ́ọ̀tì nígbà tí kòkòrò bá jẹ ṣúgà inú rẹ̀ tí ó sì di kíkan.",
        "zh": "细菌吃掉牛奶里的糖，产生让它凝固的酸，牛奶就变成了酸奶。",
    },
    "moon": {
        "ar": "يتغير شكل القمر لأننا نرى كل ليلة جزءًا آخر من نصفه الذي تضيئه الشمس.",
        "en": "The moon changes its shape as each night we see another part of its sunlit half.",
        "fa": "شکل ماه تغییر می‌کند، چون هر شب بخش دیگری از نیمهٔ روشن آن را می‌بینیم.",
        "hi": "चाँद का आकार बदलता है क्योंकि हर रात हमें उसके उजले आधे का अलग हिस्सा दिखता है।",
        "ja": "月の形が変わるのは、太陽に照らされた半分のうち見える部分が毎晩違うからです。",
        "ko": "달의 모양이 변하는 것은 매일 밤 햇빛을 받는 절반의 다른 부분이 보이기 때문이다.",
        "sw": "Mwezi hubadilika umbo kwa sababu kila usiku tunaona sehemu nyingine yenye mwanga.",
        "th": "ดวงจันทร์เปลี่ยนรูปร่างเพราะแต่ละคืนเราเห็นด้านที่แสงอาทิตย์ส่องถึงต่างส่วนกัน",
        "yo": "Òṣùpá máa ń yí ìrísí padà nítorí pé apá mìíràn tí oòrùn tàn sí ni a ń rí lálẹ́.",
        "zh": "月亮的形状会变，是因为我们每晚看到它被太阳照亮的部分不同。",
    },
    "honey": {
        "ar": "لا يفسد العسل لأن ماءه قليل وسكره كثير فلا تعيش فيه الجراثيم.",
        "en": "Honey does not spoil: it has so little water and so much sugar that no germ lives.",
        "fa": "عسل فاسد نمی‌شود، چون آب آن کم و قندش زیاد است و میکروب در آن زنده نمی‌ماند.",
        "hi": "शहद ख़राब नहीं होता क्योंकि उसमें पानी कम और शक्कर बहुत होती है।",
        "ja": "はちみつは水分が少なく糖が多いので、菌が生きられず腐りません。",
        "ko": "꿀은 물이 적고 당이 많아 균이 살 수 없어서 상하지 않는다.",
        "sw": "Asali haiharibiki kwa kuwa ina maji machache na sukari nyingi mno.",
        "th": "น้ำผึ้งไม่เสียเพราะมีน้ำน้อยและน้ำตาลมากจนเชื้อโรคอยู่ไม่ได้",
        "yo": "Oyin kì í bàjẹ́ nítorí pé omi inú rẹ̀ kéré, ṣúgà rẹ̀ sì pọ̀.",
        "zh": "蜂蜜不会变质，因为它水分少、糖分多，细菌无法存活。",
    },
}
QUESTIONS = [
    Question(
        id="yoghurt",
        text={
            "ar": "كيف يتحول الحليب إلى زبادي؟",
            "en": "How does milk turn into yoghurt?",
            "fa": "شیر چگونه ماست می‌شود؟",
            "ja": "牛乳はどうしてヨーグルトになりますか。",
            "sw": "Maziwa hugeukaje kuwa mtindi?",
            "zh": "牛奶怎么变成酸奶？",
        },
    ),
    Question(
        id="moon",
        text={
            "en": "Why does the moon change its shape?",
            "hi": "चाँद का आकार क्यों बदलता है?",
            "ko": "달의 모양은 왜 변할까?",
            "th": "ทำไมดวงจันทร์เปลี่ยนรูปร่าง",
        },
    ),
]
_TOPICS = {text: question.id for question in QUESTIONS for text in question.text.values()}


class Hit(NamedTuple):
    """As the searcher of the package returns them."""

    doc_id: str
    lang: str
    text: str
    score: float
    similarity: float


class Library:
    """Finds by pairs of neighbouring characters, with a liking for the query's own language.

    Args:
        texts: By topic and language.
        has_words: What it says of itself.

    Attributes:
        batches: Queries of every search so far.
        hold: Cleared, searches wait until it is set.
        fail_on: A query that makes a search fail.
        error: What a search raises.
        refresh_error: What a refresh raises.
        newer: Texts that the next refresh opens.
    """

    def __init__(self, texts=None, has_words=True):
        self.has_words = has_words
        self.batches = []
        self.hold = threading.Event()
        self.hold.set()
        self.fail_on = None
        self.newer = None
        self.error = None
        self.refresh_error = None
        self._open(TEXTS if texts is None else texts)

    def _open(self, texts):
        self._passages = [
            (f"{topic}-{lang}", lang, topic, text)
            for topic, by_lang in texts.items()
            for lang, text in by_lang.items()
        ]
        self.sizes = dict(sorted(Counter(lang for _, lang, _, _ in self._passages).items()))

    def search(self, queries, config):
        self.batches.append(list(queries))
        assert self.hold.wait(20)
        if not self.sizes:
            raise DataError("the index has no passages")
        if self.error:
            raise self.error
        if self.fail_on in queries:
            raise RuntimeError(f"/tmp/secret/index.faiss: cannot search for {self.fail_on}")
        return [self._ranking(query, config) for query in queries]

    def refresh(self):
        if self.refresh_error:
            raise self.refresh_error
        if self.newer is None:
            return False
        self._open(self.newer)
        self.newer = None
        return True

    def _ranking(self, query, config):
        wanted = config.languages or tuple(self.sizes)
        hits = [
            Hit(doc_id, lang, text, *self._scores(query, topic, text, config.policy))
            for doc_id, lang, topic, text in self._passages
            if lang in wanted
        ]
        hits.sort(key=lambda hit: (-hit.score, hit.doc_id))
        if config.policy == "quota":
            quota = config.quota or math.ceil(config.k / (len(wanted) or 1))
            places = quota if isinstance(quota, dict) else dict.fromkeys(wanted, quota)
            left = Counter(places)
            hits = [hit for hit in hits if left[hit.lang] > 0 and not left.subtract([hit.lang])]
        return hits[: config.k]

    @staticmethod
    def _scores(query, topic, text, policy):
        pairs, others = ({t[i : i + 2] for i in range(len(t) - 1)} for t in (query, text))
        own = len(pairs & others) / (len(pairs) or 1)
        meant = 0.3 if _TOPICS.get(query) == topic else 0.0
        similarity = 0.2 + 0.5 * own + meant
        return (similarity - 0.6 * own if policy == "balanced" else similarity), similarity
