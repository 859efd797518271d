"""Attention code measured, part by part."""
