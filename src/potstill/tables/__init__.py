"""Tables, published ones and our own, one file each: rows of a recipe, its arguments and the number to compare with.

A new table is one file here and one line below; ``potstill table`` runs it under the name in ``__all__``, with hyphens.
"""

from potstill.tables.channel_cifar import channel_cifar
from potstill.tables.channel_imagenet import channel_imagenet
from potstill.tables.crd_benchmark import crd_benchmark
from potstill.tables.express_cifar100 import express_cifar100
from potstill.tables.express_moonshine import express_moonshine
from potstill.tables.express_rocket import express_rocket
from potstill.tables.imagenet_34_18 import imagenet_34_18
from potstill.tables.kd_zoo import kd_zoo
from potstill.tables.moonshine import moonshine
from potstill.tables.rocket_table1 import rocket_table1
from potstill.tables.rocket_table2 import rocket_table2
from potstill.tables.rocket_table4 import rocket_table4
from potstill.tables.unlabelled_cifar10 import unlabelled_cifar10
from potstill.tables.vit_small import vit_small

__all__ = [
    "channel_cifar",
    "channel_imagenet",
    "crd_benchmark",
    "express_cifar100",
    "express_moonshine",
    "express_rocket",
    "imagenet_34_18",
    "kd_zoo",
    "moonshine",
    "rocket_table1",
    "rocket_table2",
    "rocket_table4",
    "unlabelled_cifar10",
    "vit_small",
]
