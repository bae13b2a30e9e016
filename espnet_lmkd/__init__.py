"""Knowledge distillation from language and speech models for ESPnet recognisers."""

__version__ = "0.1.0"
