"""Interventional saliency of vision-language-action policies, live and from recordings."""

__version__ = "0.1.0"
