"""How the films are drawn, with manim: one file a film."""
