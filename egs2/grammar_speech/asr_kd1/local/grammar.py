"""English sentences: agreement, objects that fit their verbs, subordinate clauses."""

from lexicon import DOMAINS

IRREGULAR = """
bear bore borne; beat beat beaten; bind bound bound; bring brought brought;
build built built; buy bought bought; catch caught caught; choose chose chosen;
cut cut cut; dig dug dug; draw drew drawn; eat ate eaten; feed fed fed;
fight fought fought; find found found; hear heard heard; hide hid hidden;
hold held held; know knew known; lay laid laid; lead led led; light lit lit;
lose lost lost; pay paid paid; read read read; ride rode ridden; ring rang rung;
see saw seen; sell sold sold; send sent sent; sew sewed sewn; sing sang sung;
sow sowed sown; steal stole stolen; take took taken; teach taught taught;
throw threw thrown; wear wore worn; win won won; write wrote written;
shoe shod shod
"""
PAST_AND_PARTICIPLE = {
    verb: (past, participle)
    for verb, past, participle in map(str.split, IRREGULAR.split(";"))
}
DOUBLED = {"plan", "knit", "rub", "wrap", "chop", "shop", "hem", "cut", "dig", "win"}
IRREGULAR_NOUNS = {
    "fish": "fish",
    "deer": "deer",
    "sheep": "sheep",
    "moose": "moose",
    "leaf": "leaves",
    "calf": "calves",
    "wolf": "wolves",
    "child": "children",
    "thief": "thieves",
    "lady": "ladies",
    "fisherman": "fishermen",
    "herdsman": "herdsmen",
    "postman": "postmen",
    "dead": "dead",
    "people": "people",
}
NUMBERS = ("two", "three", "four", "five", "six", "eight", "ten")

PATTERNS = (
    "{subject} {past} {object} {place}",
    "{subject} {past} {object} {ago}",
    "{subject} {present} {object} {often}",
    "{subject} {modal} {base} {object} {later}",
    "{subject} {be} {ing} {object} {place} {now}",
    "{subject} {has} {participle} {object} {place}",
    "when {event} {subject} {past} {object}",
    "{subject} {past} {object} because {event}",
    "although {event} {subject} {past} {object} {place}",
    "{person} who {past} {object} {past2} {object2}",
    "{person} by the {neighbour} {present_singular} {object} {often}",
    "did {subject} {base} {object} {place}",
    "where {do} {subject} {base} {object} {often}",
    "{subject} {want} to {base} {object} {later}",
    "to {base} {object} {subject} must {base2} {object2}",
    "it is too {late} to {base} {object} {place}",
    "there {counted} {place}",
    "{knower} that {subject} {past} {object}",
    "{subject} {was} {ing} {object} for {number} hours",
    "{subject} {past} {object} and {past2} {object2} too",
    "no one {place} knew who {past} {object}",
    "would you {base} {object} for {me} here",
    "please {base} {object} {place} {later}",
    "{subject} {past} {object} right there {place}",
    "if {event} {subject} would not {base} {object}",
    "they're the {people} who {past} {object} {place}",
    "{person} {past} {object} while {event}",
)
FILLERS = {
    "ago": "last week;two weeks ago;an hour ago;last night;before four;one year ago;"
    "at eight;in the morning;that night",
    "often": "every week;each morning;every night;at one;at two;every day;by night;"
    "once an hour;all day;for days",
    "later": "next week;in an hour;tonight;at eight;by four;in one week;in two days;"
    "right now;in a day or two;too",
    "now": "now;right now;here;again;at this hour;today",
    "modal": "will;would;should;must;can;might;could",
    "late": "late;early;cold;dark;wet;weak;hard;dear;soon",
    "me": "me;him;her;them;us;their son;our heir;my aunt",
    "knower": "we know;i hear;they knew;you see;she wrote;he said;i heard;we read;"
    "their son knows;the mayor knew;our guide said",
}
PRONOUNS = (
    ("i", "plural", "my"),
    ("you", "plural", "your"),
    ("we", "plural", "our"),
    ("they", "plural", "their"),
    ("he", "singular", "his"),
    ("she", "singular", "her"),
)


def add_ending(verb, ending):
    """Add "ed" or "ing" by the rules of spelling.

    Example:
        >>> [add_ending(v, "ed") for v in ("pour", "grate", "bury", "knit", "dye")]
        ['poured', 'grated', 'buried', 'knitted', 'dyed']
    """
    if verb in DOUBLED:
        return verb + verb[-1] + ending
    if ending == "ed":
        if verb.endswith("e"):
            return verb + "d"
        if verb.endswith("y") and verb[-2] not in "aeiou":
            return verb[:-1] + "ied"
    elif verb.endswith("ie"):
        return verb[:-2] + "ying"
    elif verb.endswith("e") and not verb.endswith(("ee", "ye", "oe")):
        return verb[:-1] + ending
    return verb + ending


def add_s(word):
    """Spell the plural of a noun or the third person of a verb.

    Example:
        >>> [add_s(word) for word in ("loaf", "berry", "wash", "day", "wolf")]
        ['loafs', 'berries', 'washes', 'days', 'wolves']
    """
    if word in IRREGULAR_NOUNS:
        return IRREGULAR_NOUNS[word]
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "sh", "ch", "x", "z")) else "s")


def article(word):
    """Return "a" or "an" as the first sound of a word wants.

    Example:
        >>> [article(word) for word in ("hour", "heir", "ewe", "oar", "pear")]
        ['an', 'an', 'a', 'an', 'a']
    """
    if word.startswith(("hour", "heir")):
        return "an"
    return "an" if word[0] in "aeiou" and not word.startswith(("ewe", "eu")) else "a"


def noun_phrase(rng, noun, adjectives, possessive):
    """Give a noun a determiner, and now and then an adjective.

    Args:
        rng: random.Random.
        noun: Singular; "~" marks one without plural.
        adjectives: Choices.
        possessive: "their", "our", ...: that of the subject.

    Returns:
        str: Such as "their two red roses".
    """
    adjective = f"{rng.choice(adjectives)} " if rng.random() < 0.3 else ""
    if noun.startswith("~"):
        noun = f"{adjective}{noun[1:]}"
        return f"{rng.choice(('the', 'some', 'no', possessive))} {noun}"
    form = rng.choice(("the", "a", possessive, possessive, "plural", "number"))
    if form == "a":
        return f"{article(adjective or noun)} {adjective}{noun}"
    if form == "plural":
        determiner = rng.choice(("the", possessive, "their", "all"))
        return f"{determiner} {adjective}{add_s(noun)}"
    if form == "number":
        return f"{rng.choice(NUMBERS)} {adjective}{add_s(noun)}"
    return f"{form} {adjective}{noun}"


def make_subject(rng, people):
    """Choose a subject.

    Returns:
        (str, str, str): Words, "singular" or "plural", and its possessive.
    """
    if rng.random() < 0.3:
        return rng.choice(PRONOUNS)
    person = rng.choice(people)
    if rng.random() < 0.5:
        return f"{rng.choice(('the', 'their', 'our'))} {person}", "singular", "the"
    determiner = rng.choice(("the", "their", "our", "both", *NUMBERS))
    return f"{determiner} {add_s(person)}", "plural", "their"


def verb_forms(verb):
    """Return past and participle of a verb."""
    regular = add_ending(verb, "ed")
    return PAST_AND_PARTICIPLE.get(verb, (regular, regular))


def sentence(rng):
    """Draw one sentence.

    Args:
        rng: random.Random; the sentence depends on nothing else.

    Returns:
        str: Lower-case words.
    """
    domain = rng.choice(DOMAINS)
    pattern = rng.choice(PATTERNS)
    subject, number, possessive = make_subject(rng, domain.people)
    if "{subject}" not in pattern:
        possessive = "their"
    singular = number == "singular"
    (verb, objects), (verb2, objects2) = rng.sample(domain.actions, 2)
    past, participle = verb_forms(verb)
    noun = rng.choice(objects)
    counted = rng.choice([n for n in objects if n[0] != "~"] or ["way"])
    one = rng.random() < 0.5
    slots = {name: rng.choice(text.split(";")) for name, text in FILLERS.items()}
    slots.update(
        subject=subject,
        person=f"{rng.choice(('the', 'our', 'their'))} {rng.choice(domain.people)}",
        people=add_s(rng.choice(domain.people)),
        neighbour=rng.choice(("sea", "gate", "road", "wood", "quay", "mill", "bay")),
        base=verb,
        past=past,
        participle=participle,
        ing=add_ending(verb, "ing"),
        present=add_s(verb) if singular else verb,
        present_singular=add_s(verb),
        base2=verb2,
        past2=verb_forms(verb2)[0],
        object=noun_phrase(rng, noun, domain.adjectives, possessive),
        object2=noun_phrase(rng, rng.choice(objects2), domain.adjectives, possessive),
        be="am" if subject == "i" else "is" if singular else "are",
        was="was" if singular or subject == "i" else "were",
        has="has" if singular else "have",
        do="does" if singular else "do",
        want=rng.choice(("wants", "needs") if singular else ("want", "need")),
        counted=(
            f"is {rng.choice(('one', 'no'))} {counted}"
            if one
            else f"are {rng.choice(('no', *NUMBERS))} {add_s(counted)}"
        ),
        number=rng.choice(NUMBERS),
        place=rng.choice(domain.places),
        event=rng.choice(domain.events),
    )
    return pattern.format(**slots)


def distinct_sentences(rng, number):
    """Draw sentences until there are enough different ones.

    Args:
        rng: random.Random.
        number: How many.

    Returns:
        list[str]: Distinct sentences in the order they were drawn.
    """
    seen = {}
    while len(seen) < number:
        seen[sentence(rng)] = None
    return list(seen)
