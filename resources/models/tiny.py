"""Tiny, randomly initialised models for tests: real architectures, real tokenizers, no downloads.

They are made on the spot from a seed, byte for byte the same each time, and run through the same
code as the real ones. What they write or embed means nothing.
"""

import re
from collections.abc import Iterator
from pathlib import Path

_SEED = 7
_CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] "
    "+ '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
_SENTENCES = (
    "You say how likely a user is to like an item, and why. Use only the facts given.",
    "Cite facts, judge, explain. Write the taste note. Rewrite the taste note.",
    "Taste: stricter than the crowd; likes drama more; likes none less",
    "Item: The Silent Harbor (drama, crime)",
    'F1 people like you: strongly for\nF2 you liked "The Last Garden": for\nF3 drama: slightly for',
    "A1 the crowd: against\nA2 your habit: slightly against\nN1 hardly anyone has rated it",
    "F1 F2 A1 likely slightly\nPeople like you mostly liked it, though most people did not.",
    "F1 A1 A2 unlikely rather\nYou disliked it, so this may not be for you.",
    "A1 unlikely very\nnone even\nF2 likely almost\nF1 F3 likely rather",
    "You will almost certainly like it. It is a toss-up whether you will like it.",
    "You are a little more likely to dislike it than to like it. comedy, action, romance, horror",
    "Note: more generous than the crowd; likes drama, crime more; likes horror, comedy less.",
    "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789",
)


def build_language_model(folder: Path) -> None:
    """A two-layer Llama with a byte-level BPE tokenizer and ChatML, saved into `folder`."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        _corpus(),
        trainers.BpeTrainer(
            vocab_size=512,
            special_tokens=["<|pad|>", "<|im_start|>", "<|im_end|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|pad|>",
        chat_template=_CHAT_TEMPLATE,
    )
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=fast.bos_token_id,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)


def build_text_encoder(folder: Path) -> None:
    """A two-layer BERT of 32 dimensions with a WordPiece tokenizer, saved into `folder`."""
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel, BertTokenizer

    word_pieces = BertWordPieceTokenizer(vocab=_word_pieces())
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = BertTokenizer(tokenizer_object=word_pieces._tokenizer)
    config = BertConfig(
        vocab_size=word_pieces.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=256,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        model = BertModel(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _word_pieces() -> dict[str, int]:
    """Words and characters of the corpus; the library's own trainer breaks ties at random."""
    words = sorted(set(re.findall(r"[a-z0-9]+", " ".join(_SENTENCES).lower())))
    characters = sorted(set("".join(words)))
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    pieces += [*characters, *(f"##{character}" for character in characters)]
    return {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}


def _corpus() -> Iterator[str]:
    for _ in range(20):
        yield from _SENTENCES
