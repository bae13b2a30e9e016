"""The words of the grammar: what people do where, domain by domain.

Many words sound like another one (flour and flower, sale and sail, two, to and too), so
that only the words around tell which is meant.
"""

from collections import namedtuple

Domain = namedtuple("Domain", "people actions adjectives places events")


def domain(people, actions, adjectives, places, events):
    """Build a domain from text.

    Args:
        people: Singular nouns of those who act.
        actions: "verb: object, object; verb: ..."; "~" marks a noun without plural.
        adjectives: What may stand before the objects.
        places: Phrases separated by ";".
        events: Clauses in the past separated by ";".

    Returns:
        Domain: Tuples of the same; an action is (verb, objects).
    """
    verbs = (action.split(":") for action in items(actions, ";"))
    return Domain(
        tuple(people.split()),
        tuple((verb, items(objects, ",")) for verb, objects in verbs),
        tuple(adjectives.split()),
        items(places, ";"),
        items(events, ";"),
    )


def items(text, separator):
    """Split text at a separator and trim the white space."""
    return tuple(" ".join(item.split()) for item in text.split(separator))


DOMAINS = (
    domain(
        "baker cook chef waiter aunt guest maid",
        """knead: ~dough, ~bread; weigh: ~flour, ~rye, ~meat, pear, berry, plum;
        pour: ~tea, ~cream, ~wine, ~milk; roast: ~meat, leek, ~veal, steak; grate:
        ~cheese, ~ginger, beet; serve: ~bread, ~cereal, ~thyme, mussel, steak,
        roll; taste: ~stew, ~wine, sauce, ~mousse; peel: pear, leek, plum, carrot;
        eat: ~bread, steak, berry, roll, pear""",
        "plain sweet fresh pale whole raw",
        """in the kitchen; by the oven; on the great plate; at the table; in a clean
        bowl; beside the bread; over the stove; in the pail""",
        """the oven was hot; the dough was rising; the tea was cold; the meat was
        raw; the guests had eaten; the bread was sold; there was no flour left""",
    ),
    domain(
        "gardener neighbour niece widow farmer son",
        """plant: flower, tree, bulb, ~thyme, root, rose; water: flower, rose, ~hay,
        seed, lawn; pick: flower, berry, rose, pear; cut: branch, tree, hedge,
        rose, bough; dig: hole, root, bed; rake: ~hay, leaf, path; sell: flower,
        plant, seed, tree; smell: flower, rose, ~mint, lily""",
        "red blue yellow wild pretty dead",
        """in the garden; by the hedge; under the tree; along the path; near the
        beech; beside the wall; behind the gate; through the dew; among the roses""",
        """the sun was shining; the bees were in the flowers; the ground was dry; the
        scent was sweet; a hare ate the leaves; the roots had died; spring had
        come""",
    ),
    domain(
        "sailor captain crew pirate fisherman boy",
        """row: boat, crew; tow: boat, ship, barge; mend: sail, net, oar, deck, hull;
        see: whale, gull, ship, beach, wave, port; sail: ship, boat, yacht; steer:
        ship, boat, ferry; board: ship, ferry, boat; catch: whale, fish, mussel,
        eel; hoist: sail, flag, anchor""",
        "blue great old white pale heavy",
        """on the sea; at the quay; by the pier; near the beach; in the straight
        channel; off the coast; through the waves; below the deck; along the bay;
        across the strait""",
        """the tide was out; the wind blew from the sea; the whale had dived; the
        sail was torn; the ship was tied to the quay; the sea was rough; the buoy
        was lost in the mist""",
    ),
    domain(
        "knight king prince queen lord squire heir witch",
        """ride: mare, horse, steed; win: battle, duel, throne, medal; guard: gate,
        tower, throne, castle, bridge; praise: knight, king, queen, hero; fight:
        knight, dragon, witch, king; bear: shield, flag, sword, crown; seize:
        throne, castle, sword, tower; bury: sword, king, shield, chest; rule:
        kingdom, island, people""",
        "brave noble great royal bold holy",
        """in the castle; at the gate; by the moat; on the throne; in the tower; at
        night; before the king; behind the wall; through the main hall""",
        """the king had died; the battle was won; the knight lost his sword; the
        reign of the queen was over; the prince rode in; night fell on the tower;
        the witch cast a spell""",
    ),
    domain(
        "clerk manager secretary lawyer postman writer boss",
        """write: letter, note, report, cheque, line, page; mail: letter, parcel,
        bill, card; send: letter, bill, cheque, note, parcel; read: letter,
        report, mail, book, page; sign: letter, cheque, lease, form; file: report,
        bill, form, letter; seal: letter, envelope, parcel; buy: stamp, desk, pen,
        ~stationery; check: bill, lease, report, loan""",
        "new long late plain due formal",
        """at the office; in the mail; on the desk; at the bank; by post; in the
        right file; on the fourth floor; in the principal office; beside the
        stationery""",
        """the mail was late; the loan was due; the bill had not been paid; the boss
        was right; the meeting was over; the clerk had passed the form; the cheque
        was not signed""",
    ),
)
