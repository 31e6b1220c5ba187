"""The text encoder: unit vectors, each text encoded once, the same in any batch."""

import numpy as np
import pytest

from resources.compute.accelerator import Accelerator
from resources.errors import ConfigError
from resources.models import text_encoder as module
from resources.models.downloads import MINILM, Downloads
from resources.models.text_encoder import TextEncoder

TEXTS = ["a drama", "", "a comedy with war, crime and " + "more " * 40, "a drama", "  ", "ü\n'"]


def make(folder):
    return TextEncoder(
        cache_dir=str(folder),
        downloads=Downloads(cache_dir=str(folder / "down")),
        accelerator=Accelerator(device="cpu"),
    )


@pytest.fixture
def encoder(tmp_path):
    return make(tmp_path / "encoder")


def encode(encoder, texts, batch_size=4):
    return encoder.encode(texts, source="tiny", batch_size=batch_size)


def test_vectors_have_length_one_and_empty_texts_are_zero(encoder):
    vectors = encode(encoder, TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), encoder.dimension("tiny"))
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 0, 1, 1, 0, 1], abs=1e-5)
    assert (vectors[0] == vectors[3]).all()
    assert abs(vectors[0] @ vectors[2]) < 0.9999


def test_a_batch_equals_one_by_one(encoder, tmp_path):
    together = encode(encoder, TEXTS)
    other = make(tmp_path / "other")
    alone = np.concatenate([encode(other, [text], batch_size=1) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_nothing_to_encode(encoder):
    assert encode(encoder, []).shape == (0, 32)
    assert not encode(encoder, ["", ""]).any()


def test_each_text_is_encoded_once_ever(encoder, tmp_path, monkeypatch):
    first = encode(encoder, TEXTS)
    monkeypatch.setattr(module, "_load", lambda *_: pytest.fail("encoded again"))
    again = encode(make(tmp_path / "encoder"), TEXTS[::-1])
    assert (again[::-1] == first).all()


def test_only_new_texts_are_encoded(encoder, monkeypatch):
    encode(encoder, ["a", "b"])
    model, seen = encoder._model("tiny"), []

    class Watched:
        def encode(self, texts, **options):
            seen.extend(texts)
            return model.encode(texts, **options)

    monkeypatch.setattr(module, "_load", lambda *_: Watched())
    encode(encoder, ["b", "c", "a", "c"])
    assert seen == ["c"]


def test_a_build_that_fails_leaves_no_half_encoder(encoder, tmp_path, monkeypatch):
    from resources.models import tiny as tiny_models

    def fails(folder):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(tiny_models, "build_text_encoder", fails)
    with pytest.raises(KeyboardInterrupt):
        encode(encoder, ["a"])
    monkeypatch.undo()
    assert encode(encoder, ["a"]).shape == (1, 32)


def test_a_local_folder_gives_the_same_vectors_under_its_own_revision(encoder, tmp_path):
    vectors = encode(encoder, ["a drama"])
    folder = next((tmp_path / "encoder").glob("tiny-*/config.json")).parent
    assert (encoder.encode(["a drama"], source=str(folder), batch_size=1) == vectors).all()
    assert encoder.revision(str(folder)) not in (encoder.revision("tiny"), "")


def test_revisions_name_the_content(encoder):
    assert MINILM.revision in encoder.revision("all-minilm-l6-v2")
    assert encoder.revision("owner/name@abc") == "owner/name@abc"
    with pytest.raises(ConfigError, match="does not exist"):
        encoder.revision("minilm")
