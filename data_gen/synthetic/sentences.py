"""Sentences the demo subjects read, written for this project: short, everyday and rich in different sounds."""

from __future__ import annotations

import numpy as np

ENGLISH = (
    "Bob bought a big brown boat before the boom.", "My mother made plum jam and warm muffins.",
    "Five very fine foxes left the village on foot.", "We would wait while the wind was wild.",
    "She sells fresh fish by the shallow shore.", "The choir chose a cheerful church in March.",
    "Put the blue cup on top of the pump.", "Both brothers breathe through their mouths.",
    "A happy puppy hopped past the open park.", "You knew a few new views of the moon.",
    "He heard her hurry home on the hard road.", "Every evening Eve eats eleven eggs.",
    "The old goat rolled over the golden stone.", "Look how the good cook shook the wooden hook.",
    "All autumn Paul walked along the tall wall.", "Under the sun, some young monks won a cup.",
    "It is simple to fix a tin ship in a minute.", "Please keep three green leaves near the sea.",
    "Go slowly, so nobody knows where we go.", "Now count how many brown cows are out.",
    "Nine white kites fly high in the night sky.", "The noisy boy enjoyed the shiny toy coins.",
    "Here the deer appear each year without fear.", "Their fair pair of chairs stands there upstairs.",
    "Pure water poured from the floor to the door.", "Are the large cars parked far from the farm?",
    "Thirty thirsty birds turned to the dirty water.", "This thing is thicker than that thin feather.",
    "A lazy lion lay along the yellow lawn.", "Ring the long string and sing a song of spring.",
    "The judge enjoyed a giant orange from the garage.", "Use your usual measure for leisure and pleasure.",
    "Quick queens quietly question the quaint squad.", "Maybe Mabel may bring the baby some pebbles.",
    "Stop at the shop and drop the map in a cup.", "Wave to five brave voters from the van above.",
    "Seven scissors lay beside the sixth glass box.", "Zebras zigzag lazily past dozens of roses.",
    "Did Daddy add a dozen red and dotted beds?", "Tom told Ted to take two tiny tomatoes.",
    "Can a cook keep a cake cool in a kettle?", "Grey geese gather again around the garden gate.",
    "In June a huge mule used a tube of glue.", "Oh no, the phone is frozen, so don't go alone.",
    "What a pretty picture of a lamb and a lamp!", "People probably prefer paper maps to apps.",
    "From my room I hear the humming of a drum.", "The farmer found four fat calves for half a pound.",
    "Bubbles pop above the bath, bob up, and vanish.", "Move both thumbs smoothly over the rubber map.",
    "A modest bishop marched among proud bakers.", "Why would anyone weigh a whale on Wednesday?",
    "Amber umbrellas bump beneath the apple bloom.", "Wolves howl, owls hoot, and mice make no sound.",
    "Tell the teacher that ten tests are better than twenty.", "Our hour of power began with a loud shower.",
    "Lucy's flute is broken, but the music moves us.", "Chop the cheese, catch the bus, and push the button.",
    "Vivid violets cover every valley in the evening.", "I believe a brave bee beats five lazy flies.",
    "Pam and Bob hum a calm psalm at the palm.", "The moon above the farm was pale and warm.",
    "Speak up, keep your chin high, and open your mouth.", "Nobody will blame me if the map is wrong.",
)  # fmt: skip
OTHERS = {
    "de": (
        "Papa baut am Abend ein Boot aus Pappe.",
        "Meine Mutter mag warme Milch mit Mohn.",
        "Fünf wilde Füchse laufen vor dem Wald.",
        "Schöne Vögel üben früh in der Höhe.",
        "Das Buch liegt offen auf dem blauen Stuhl.",
        "Wir wissen viel über weite Wege.",
    ),
    "es": (
        "Mi mamá me mima mucho por la mañana.",
        "Pepe busca un bote blanco y un globo.",
        "Una vaca vieja vive en el valle verde.",
        "Todos los lobos corren solos por el bosque.",
        "La luna ilumina la plaza pequeña.",
        "Fabio fue feliz con su flauta fina.",
    ),
    "fr": (
        "Papa a bu un bon bol de soupe.",
        "Ma maman aime beaucoup les pommes mûres.",
        "La lune brille sur une rue vide.",
        "Vous voulez voir ce vieux château.",
        "Le feu bleu chauffe deux œufs.",
        "Un bon vin blanc vient de ce village.",
    ),
    "it": (
        "La mamma prepara la pappa per il bambino.",
        "Un bel fiore viola fiorisce a febbraio.",
        "Luna piena sopra il mare blu.",
        "Il lupo beve molta acqua pulita.",
        "Vorrei una buona pizza con le olive.",
        "Domani proviamo a ballare insieme.",
    ),
    "cmn": (
        "妈妈买了八本白书。",
        "爸爸跑步去公园。",
        "我们明天要去北方。",
        "风吹过宽阔的湖面。",
        "朋友不怕下雨。",
        "他喝了一杯苹果汁。",
    ),
}


def draw_sentences(rng: np.random.Generator, language: str, count: int) -> list[str]:
    """`count` sentences in shuffled order; all are used once before one returns. Unknown languages read English."""
    pool = OTHERS.get(language, ENGLISH)
    found: list[str] = []
    while len(found) < count:
        found += [pool[i] for i in rng.permutation(len(pool))]
    return found[:count]
