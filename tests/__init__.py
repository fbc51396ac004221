"""Tests of registrytool: claims, named by their functions."""

import pytest

# Assertions of helpers say what differs, too.
pytest.register_assert_rewrite("tests.support")
