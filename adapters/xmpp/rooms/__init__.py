"""Rooms of the component (XEP-0045): several people talk together with one ENS name, which hears one voice."""
