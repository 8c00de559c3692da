"""Keys of bridged people, all from one seed, and which identity goes with which name.

Nothing derived is stored: a row holds a sealed random salt, and without it even the seed gives nothing back.
"""
