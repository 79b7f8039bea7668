"""Yes and no: every single-token spelling, their summed probability, and what stands in a prompt."""

import itertools

import numpy as np
import pytest
import torch
from adaptation_world import Y_TRUE, N, model_of, setting_of, shown_texts, texts, tiny_verbalizer, write_tiny

from ml.adaptation import tuning
from ml.adaptation.answers import answer_tokens, prompt_tokens, prompts
from ml.adaptation.network import Lora
from ml.adaptation.regimes import REGIMES
from ml.adaptation.scoring import score
from ml.models.loading import load_language_model
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
    plain, _ = load_language_model(model_of("qwen3"), folder)
    for row in (0, 17, 59):
        ids = torch.tensor([words.encode(prompts("", [texts()[row]], question="Will it?")[0])])
        with torch.inference_mode():
            p = plain.eval()(ids).logits[0, -1].double().softmax(0)
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


def test_a_prompt_shows_the_k_examples_a_class_of_the_draw_case_and_other_in_turn(
    folder, tmp_path, monkeypatch
):
    seen = {}
    monkeypatch.setattr(tuning, "prompts", lambda *a, **k: seen.update(k) or prompts(*a, **k))
    scores = []
    for k, places in ((1, [1, 0]), (2, [1, 0, 3, 2])):  # labels alternate: places 1 and 2 are rows 0 to 3
        shown = shown_texts(k=k)
        setting = setting_of(model_of("qwen3"), folder, tmp_path, mode="in_context")
        scores.append(REGIMES["verbalizer"](shown, setting).y_score_raw)
        assert [texts().index(text) for text, _ in seen["examples"]] == places
        assert [label for _, label in seen["examples"]] == [1, 0] * k
        assert np.flatnonzero(shown.used["fit"]).tolist() == sorted(places)
        assert "select" not in shown.used
    assert np.abs(scores[0] - scores[1]).max() > 1e-4  # the curve is not flat by construction


def test_zero_shot_reads_no_label(folder, tmp_path):
    shown = shown_texts()
    REGIMES["verbalizer"](shown, setting_of(model_of("qwen3"), folder, tmp_path))
    assert shown.used == {}
    assert len(Y_TRUE) == len(shown)


@pytest.mark.parametrize("adapter", [None, Lora(4, 0.0)])
def test_answers_in_half_precision_do_not_tie(folder, adapter):
    scorer = tiny_verbalizer(folder, "qwen3", adapter).to(torch.bfloat16).eval()
    scorer.yes, scorer.no = (yes,), (no,) = scorer.yes[:1], scorer.no[:1]
    head = scorer.backbone.get_output_embeddings()
    given = []
    head.register_forward_hook(lambda _, read, __: given.append(read[0][:, -1].double()))
    with torch.no_grad():
        # As in trained decoders: both logits are large, and yes is almost no.
        head.weight.mul_(10)
        head.weight[yes] = head.weight[no]
        head.weight[yes, :4] += 0.5
    tokens = scorer.tokenizer(texts())["input_ids"]
    found = score(scorer, tokens)
    answers = torch.cat(given) @ head.weight[[yes, no]].double().T
    expected = answers[:, 0] - answers[:, 1]
    assert 10 < answers.abs().max() < 50
    order = sorted(range(len(tokens)), key=lambda row: (-len(tokens[row]), row))
    assert np.abs(found[order] - expected.sigmoid().detach().numpy()).max() < 1e-5
    assert len(set(found)) == len(set(expected.tolist())) == N


def test_a_chat_model_is_asked_in_its_own_format():
    words = tokenizer("qwen3")
    words.chat_template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<reply>"
    (ids,) = prompt_tokens(words, ["Is it?"], answer_prefix="final:", is_chat=True)
    assert words.decode(ids) == "<user>Is it?<reply>final:"
    (plain,) = prompt_tokens(words, ["Is it?"], answer_prefix="", is_chat=False)
    assert words.decode(plain) == "Is it?"
