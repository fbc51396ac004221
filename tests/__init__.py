"""Tests of registrytool: claims, named by their functions."""
