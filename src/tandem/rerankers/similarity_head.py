"""A score from the tokens of a jointly read pair: what a sentence encoder can do before it is trained, and better after."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

__all__ = ["HEAD_FILE", "SimilarityHead"]

HEAD_FILE = "similarity_head.safetensors"
FAR = -2.0  # below any cosine


class SimilarityHead(nn.Module):
    """Score a pair by the mean over query tokens of the best cosine among document tokens, weighted and scaled.

    Both texts are read together, so every token knows both: CEDR's similarity matrix of jointly encoded tokens (MacAvaney et al. 2019,
    equation 1), reduced by ColBERT's maximum (Khattab and Zaharia 2020, equation 3). ``score = scale * (sum_i softmax_i(w . q_i) max_j
    cos(q_i, d_j) - centre)``; w starts at zero, so all query tokens weigh the same at first, and a sentence encoder ranks from the first
    step on, where a new linear head starts from nothing.

    Args:
        width: of the encoder's hidden states.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))
        self.scale = nn.Parameter(torch.tensor(20.0))
        self.centre = nn.Parameter(torch.tensor(0.6))

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor, sides: torch.Tensor) -> torch.Tensor:
        """Logits (pairs, 1) of hidden states (pairs, tokens, width), their mask, and sides: 0 for query tokens, 1 for the document's."""
        query, document = (mask == 1) & (sides == 0), (mask == 1) & (sides == 1)
        tokens = nn.functional.normalize(hidden.float(), dim=-1)
        length = int(query.sum(1).max())  # query tokens stand first
        cosines = (tokens[:, :length] @ tokens.transpose(1, 2)).masked_fill(~document.unsqueeze(1), FAR)
        importance = (hidden[:, :length].float() @ self.weight).masked_fill(~query[:, :length], float("-inf")).softmax(1)
        return (self.scale * ((importance * cosines.amax(2)).sum(1) - self.centre)).unsqueeze(1)

    def save(self, folder: Path) -> None:
        """Write the head beside the encoder's weights."""
        save_file({name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()}, folder / HEAD_FILE)

    def load(self, folder: Path) -> bool:
        """Read the head where the folder has one, and say whether; a bare encoder has none, and its head stays as new."""
        if not (folder / HEAD_FILE).exists():
            return False
        self.load_state_dict(load_file(folder / HEAD_FILE))
        return True
