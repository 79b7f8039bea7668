"""Yes and no: every single-token spelling, their summed probability, and what stands in a prompt."""

import itertools

import numpy as np
import pytest
import torch
from adaptation_world import Y_TRUE, model_of, setting_of, shown_texts, texts, tiny_verbalizer, write_tiny

from ml.adaptation import tuning
from ml.adaptation.answers import answer_tokens, prompt_tokens, prompts
from ml.adaptation.regimes import REGIMES
from ml.models.smoke import ANSWERS, tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny("qwen3", tmp_path_factory.mktemp("answers"))


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch):
    monkeypatch.setattr(tuning, "THREADS", 1)


def test_the_tokens_are_those_that_spell_an_answer_alone():
    words = tokenizer("qwen3")
    yes, no = answer_tokens(words)
    spellings = [a + b for a, b in itertools.product(("", " "), ANSWERS)]
    for word, found in (("yes", yes), ("no", no)):
        alone = [words.encode(text) for text in spellings if text.strip().lower() == word]
        assert sorted(found) == sorted(ids[0] for ids in alone if len(ids) == 1)
        assert len(found) == 6
    assert not set(yes) & set(no)


def test_a_word_that_only_begins_with_no_is_no_answer():
    class Words:
        spelled = (
            "yes",
            " Yes",
            "YES.",
            "no",
            " No!",
            "not",
            "none",
            "yesterday",
            "n",
            "\u2581no",
            "Ye",
            "eyes",
        )

        def __len__(self):
            return len(self.spelled)

        def batch_decode(self, ids):
            return [self.spelled[one] for (one,) in ids]

    assert answer_tokens(Words()) == ([0, 1, 2], [3, 4, 9])


def test_the_score_is_yes_over_yes_and_no_summed_over_spellings(folder, tmp_path):
    setting = setting_of(model_of("qwen3"), folder, tmp_path)
    scores = REGIMES["verbalizer"](shown_texts(), setting).y_score_raw
    scorer = tiny_verbalizer(folder, "qwen3").eval()
    words = scorer.tokenizer
    for row in (0, 17, 59):
        ids = torch.tensor([words.encode(prompts("", [texts()[row]], question="Will it?")[0])])
        with torch.inference_mode():
            p = scorer.backbone(ids).logits[0, -1].double().softmax(0)
        by_word = {
            word: sum(
                float(p[ids[0]])
                for a, b in itertools.product(("", " "), ANSWERS)
                if b.lower() == word and len(ids := words.encode(a + b)) == 1
            )
            for word in ("yes", "no")
        }
        assert scores[row] == pytest.approx(by_word["yes"] / (by_word["yes"] + by_word["no"]), abs=1e-6)


def test_a_prompt_holds_instruction_examples_text_and_question_in_this_order():
    (asked,) = prompts("Judge.\n", ["C"], question="Will it?", examples=[("A", 1), ("B", 0)])
    parts = [
        "Judge.\n",
        "A",
        "Will it?",
        "Answer:",
        " yes",
        "B",
        "Will it?",
        "Answer:",
        " no",
        "C",
        "Will it?",
    ]
    places = []
    for part in parts:
        places.append(asked.index(part, places[-1] + 1 if places else 0))
    assert places == sorted(places)
    assert asked.endswith("Answer:")


def test_the_examples_of_a_prompt_are_the_first_of_the_draw_case_and_other_in_turn(
    folder, tmp_path, monkeypatch
):
    seen = {}
    monkeypatch.setattr(tuning, "prompts", lambda *a, **k: seen.update(k) or prompts(*a, **k))
    shown = shown_texts()
    setting = setting_of(model_of("qwen3"), folder, tmp_path, mode="in_context", shots=2)
    REGIMES["verbalizer"](shown, setting)
    # The world alternates labels: places 1 and 2 are rows 0 to 3.
    assert [texts().index(text) for text, _ in seen["examples"]] == [1, 0, 3, 2]
    assert [label for _, label in seen["examples"]] == [1, 0, 1, 0]
    assert np.flatnonzero(shown.used["fit"]).tolist() == [0, 1, 2, 3]
    assert "select" not in shown.used


def test_zero_shot_reads_no_label(folder, tmp_path):
    shown = shown_texts()
    REGIMES["verbalizer"](shown, setting_of(model_of("qwen3"), folder, tmp_path))
    assert shown.used == {}
    assert len(Y_TRUE) == len(shown)


def test_a_prompt_beyond_the_context_is_an_error_with_a_hint(folder, tmp_path):
    model = model_of("qwen3", max_tokens=60)
    with pytest.raises(ValueError, match=r"has \d+ tokens\. Allowed: up to 60\n\nhint: fewer `shots`"):
        REGIMES["verbalizer"](shown_texts(), setting_of(model, folder, tmp_path))


def test_a_chat_model_is_asked_in_its_own_format():
    words = tokenizer("qwen3")
    words.chat_template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<reply>"
    (ids,) = prompt_tokens(words, ["Is it?"], answer_prefix="final:", is_chat=True)
    assert words.decode(ids) == "<user>Is it?<reply>final:"
    (plain,) = prompt_tokens(words, ["Is it?"], answer_prefix="", is_chat=False)
    assert words.decode(plain) == "Is it?"
