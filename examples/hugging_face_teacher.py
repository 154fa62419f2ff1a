"""A model of Hugging Face's transformers as teacher: its `ModelOutput` has parts, and its layers are tapped as any."""

from pathlib import Path

from transformers import ViTConfig, ViTForImageClassification

import potstill as ps


def vit() -> ViTForImageClassification:
    """For real: ViTForImageClassification.from_pretrained(NAME). Here a small one with random weights."""
    size = {"image_size": 8, "patch_size": 2, "hidden_size": 32, "intermediate_size": 64}
    depth = {"num_hidden_layers": 3, "num_attention_heads": 4, "num_labels": 10, "output_hidden_states": True}
    return ViTForImageClassification(ViTConfig(**size, **depth))


def main(out: Path = Path("runs/hugging-face-teacher")) -> dict:
    training = ps.Training(data="digits", epochs=2, lr=0.05, out=out)
    data = training.load_data()
    networks = {"student": ps.networks.create("resnet8", classes=10, seed=0), "teacher": ps.freeze(vit())}
    terms = [
        ps.Term(ps.losses.CE(), "student", "labels"),
        ps.Term(ps.losses.KD(), "student", "teacher"),  # its logits
        ps.Term(ps.losses.SP(), "student.layer3", "teacher#hidden_states#2", name="SP of a part"),
        ps.Term(ps.losses.AT(), "student.layer2", "teacher.vit.layers.1:map", weight=100.0),  # tokens as a map
    ]
    distiller = ps.Distiller(networks, terms, example=data.example())
    return ps.fit(distiller, data, training)


if __name__ == "__main__":
    print(main()["teachers"]["teacher"])
