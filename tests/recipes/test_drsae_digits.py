"""What is special to the recipe ``drsae-digits``: its points of part and categorical units."""

import torch
from torch.testing import assert_close

from nakami.recipes import drsae_digits as recipe
from nakami.zoo import drsae


def test_each_unit_is_a_point_of_its_kind():
    coder = drsae.DrSAE(12, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        coder.decoder[1] = torch.nn.functional.normalize(coder.encoder[1], dim=0)
        coder.decoder[2] = -coder.decoder[1]
    head = drsae.head(4, 3, torch.Generator().manual_seed(1))
    model = drsae.classifier(coder, head)
    found = recipe.units(coder, model)
    assert not found.joined
    cosines = torch.nn.functional.cosine_similarity(coder.encoder, coder.decoder, dim=1)
    lengths = head.output.weight.square().sum(0).sqrt()
    for kind, some in (("part units", cosines >= 0.5), ("categorical units", cosines < 0.5)):
        x, y = found.lines[kind]
        assert_close(torch.tensor(x), cosines[some].detach())
        assert_close(torch.tensor(y), lengths[some].detach())
    assert sum(len(x) for x, _ in found.lines.values()) == 4
