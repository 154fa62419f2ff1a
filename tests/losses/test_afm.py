import math

import torch
import torch.nn.functional as F

from potstill.losses import AFM


def maps(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


STUDENT = (maps(0, 5, 4, 6, 6), maps(1, 5, 6, 3, 3), maps(2, 5, 8, 2, 2))
TEACHER = (maps(3, 5, 8, 4, 4), maps(4, 5, 10, 2, 3))


def built(width=7):
    torch.manual_seed(0)
    loss = AFM(width)
    loss.build(STUDENT, TEACHER)
    return loss


def test_attention_is_a_softmax_of_products_over_the_students_maps():
    loss = built().eval()  # batch norm does nothing but for its eps
    attention = loss.attention(STUDENT, TEACHER)
    for n in range(5):
        for t in range(2):
            query = loss.query[t](TEACHER[t].mean(dim=(2, 3)))[n]
            logits = []
            for s in range(3):
                key = loss.key[s](STUDENT[s].mean(dim=(2, 3))).relu()
                seen = loss.bilinear(key)[n, 7 * t : 7 * (t + 1)]
                logits.append((seen @ query + loss.p_t[t] @ loss.p_s[s]) / math.sqrt(7))
            torch.testing.assert_close(attention[n, t], torch.stack(logits).softmax(dim=0))


def test_is_the_distance_of_unit_energy_maps_weighed_by_the_attention():
    loss = built()
    attention, expected = loss.attention(STUDENT, TEACHER), []
    for n in range(5):
        for t in range(2):
            for s in range(3):
                own = F.adaptive_avg_pool2d(STUDENT[s][n].square().mean(dim=0)[None], TEACHER[t].shape[2:]).flatten()
                other = TEACHER[t][n].square().mean(dim=0).flatten()
                expected.append(attention[n, t, s] * (own / own.norm() - other / other.norm()).square().mean() / 5)
    torch.testing.assert_close(loss(STUDENT, TEACHER), torch.stack(expected).sum())


def test_keys_of_all_maps_are_one_batch_for_the_batch_norm():
    loss = built()
    loss(STUDENT, TEACHER)
    keys = torch.cat([key(part.mean(dim=(2, 3))).relu() for key, part in zip(loss.key, STUDENT, strict=True)])
    mean = loss.bilinear.linear(keys).mean(dim=0)
    torch.testing.assert_close(loss.bilinear.bn.running_mean, 0.1 * mean)


def test_one_sample_trains():
    loss = AFM(7)
    one = tuple(part[:1] for part in STUDENT[:1]), tuple(part[:1] for part in TEACHER[:1])
    loss.build(*one)
    loss(*one).backward()
