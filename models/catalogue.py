"""Every network that `twin train` knows, by name."""

from __future__ import annotations

from models.crack_frames.recipe import CRACK_LSTM, CRACK_RNN, CRACK_SNN
from models.crack_frames.stepper_recipe import ARTIFICIAL, SPIKING
from models.crack_image.recipe import CRACK_IMAGE
from models.intensity.recipe import CRACK_K
from models.recipe import Recipe

RECIPES: dict[str, Recipe] = {
    "crack-artificial": ARTIFICIAL,
    "crack-image": CRACK_IMAGE,
    "crack-k": CRACK_K,
    "crack-spiking": SPIKING,
    "crack-rnn": CRACK_RNN,
    "crack-lstm": CRACK_LSTM,
    "crack-snn": CRACK_SNN,
}
