"""Train the demo model's tokenizer, and tokenise all phrases of the shipped lists."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from clip_gaze.texts import phrases
from demo.painter import TRAINED

if TYPE_CHECKING:
    from torch import Tensor

CONTEXT = 77
VOCABULARY = 1640  # without the start and end tokens
RIVALS = 96
OTHERS = 64


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The token ids of all phrases: trained ones, then their rivals, then all others.

    Attributes:
        ids: (n, longest) token ids, padded behind the end token, which pooling stops at.
        columns: for each trained list, which rows of `ids` are its trained phrases.
        trained: how many of the first rows are trained phrases.
        rivals: how many of the next rows are untrained phrases of the trained lists.
    """

    ids: Tensor
    columns: dict[str, list[int]]
    trained: int
    rivals: int

    def sample(self, rng: np.random.Generator) -> Tensor:
        """Return the rows of the trained phrases, followed by a sample of the others."""
        near = rng.choice(self.rivals, RIVALS, replace=False)
        far = rng.choice(len(self.ids) - self.trained - self.rivals, OTHERS, replace=False)
        chosen = np.concatenate([near, self.rivals + far]) + self.trained
        return torch.cat([self.ids[: self.trained], self.ids[torch.from_numpy(chosen)]])

    def choices(self, count: int) -> dict[str, list[int]]:
        """Return, for each list, the rows of a sample that its pictures choose among.

        They are the list's own trained phrases, and all that are not trained.

        Args:
            count: rows of the sample.

        """
        others = range(self.trained, count)
        return {name: [*columns, *others] for name, columns in self.columns.items()}


def train_tokenizer(texts: list[str]) -> CLIPTokenizer:
    """Train a byte-level BPE tokenizer like CLIP's on `texts`.

    The vocabulary has every byte, alone and at the end of a word, so that no token is unknown.
    """
    blank = CLIPTokenizer().backend_tokenizer
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = blank.normalizer, blank.pre_tokenizer
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*letters, *(letter + "</w>" for letter in letters)]
    # Of merges that are equally frequent, the trainer takes the lower token numbers. It would give
    # these out in an order that changes from run to run, if they did not come first as special.
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=tokens,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    learned = json.loads(tokenizer.to_str())["model"]
    tokens += sorted(learned["vocab"], key=learned["vocab"].__getitem__)
    tokens = [*dict.fromkeys(tokens), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={token: number for number, token in enumerate(tokens)},
        merges=[tuple(merge) for merge in learned["merges"]],
        model_max_length=CONTEXT,
    )


def tokenise(tokenizer: CLIPTokenizer, texts: list[str]) -> Tensor:
    """Return (n, longest) ids; those after the end token are padding."""
    return tokenizer(texts, padding=True, truncation=True, return_tensors="pt")["input_ids"]


def lexicon(tokenizer: CLIPTokenizer) -> Lexicon:
    """Order and tokenise every phrase of the shipped lists."""
    trained = [phrase for known in TRAINED.values() for phrase in known]
    near = [phrase for name in TRAINED for phrase in phrases.load(name)]
    far = [phrase for name in phrases.names() for phrase in phrases.load(name)]
    rivals = list(dict.fromkeys([*trained, *near]))
    everything = list(dict.fromkeys([*rivals, *far]))
    columns = {name: [trained.index(phrase) for phrase in TRAINED[name]] for name in TRAINED}
    ids = tokenise(tokenizer, everything)
    return Lexicon(ids, columns, len(trained), len(rivals) - len(trained))


def trimmed(ids: Tensor, tokenizer: CLIPTokenizer) -> Tensor:
    """Drop the columns where every row is already past its end token."""
    longest = int((ids == tokenizer.eos_token_id).int().argmax(1).max()) + 1
    return ids[:, :longest]
