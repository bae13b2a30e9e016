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
        "farmer shepherd vet herdsman farmhand uncle",
        """feed: mare, ewe, boar, horse, calf, sheep; sow: ~rye, ~wheat, seed,
        ~barley; shear: ewe, sheep, ram; herd: sheep, cow, ewe, goat; plough:
        field, ~ground; brush: mare, horse, foal, mane; haul: ~hay, ~wheat, bale,
        load; milk: cow, goat, ewe; shoe: mare, horse, pony""",
        "brown weak grey black young tired",
        """in the stable; on the hay; in the barn; by the trough; in the field; at
        the farm; over the stile; near the coarse sand; down the lane""",
        """the herd had fled; the mare was weak; the hay was wet; the fair was near;
        the cows were in the field; the rain had stopped; the ewes had grazed""",
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
    domain(
        "driver pilot guide tourist nurse traveller courier",
        """board: plane, train, bus, ferry; miss: plane, train, bus, ferry, turn;
        pay: fare, toll, guide; take: road, route, plane, train, pass; follow:
        road, route, guide, sign; lose: way, map, key, case; cross: road, pass,
        bridge, border; fix: brake, tire, gear, wheel""",
        "main direct right whole narrow steep",
        """on the road; at the gate; on the plane; by the main road; through the
        pass; on the way; at the border; in the right lane; over the bridge; in
        eight hours""",
        """the plane was late; the road was closed; the brakes were weak; the fare
        was low; the train had passed; the map was wrong; the way was barred; the
        rain had begun""",
    ),
    domain(
        "teacher pupil student tutor principal girl",
        """teach: class, course, lesson, principle; learn: verse, word, lesson, rule,
        principle; write: essay, word, verse, sentence, poem; read: book, verse,
        tale, poem, story; choose: course, book, class, word; pass: test, course,
        exam; draw: circle, line, map, bear; teach: pupil, boy, girl""",
        "whole short right new hard wise",
        """at school; in the class; on the board; in the course; after the lesson; in
        the hall; with the principal; on the right page; in the new book""",
        """the bell had rung; the lesson was over; the class was bored; the test was
        hard; the principal was there; the tale was long; the pupils read aloud""",
    ),
    domain(
        "singer player drummer actor dancer composer band",
        """play: chord, role, tune, bass, hymn, flute; sing: hymn, duet, song, aria,
        carol; write: hymn, role, scene, song, suite; hear: hymn, chord, bass,
        band, suite, song; know: role, song, tune, scene, hymn; beat: drum, gong,
        cymbal; wear: mask, wig, veil, crown; tune: bass, harp, flute, lute""",
        "new great minor loud whole vain",
        """on the stage; in the main hall; at the fair; for the band; in the choir;
        at the base of the stage; in the first scene; for the whole crowd""",
        """the hall was full; the band had played; the chord was wrong; the seats
        were sold; the lights were low; the crew had left; the play was too long""",
    ),
    domain(
        "doctor nurse patient surgeon medic mother healer",
        """heal: wound, heel, vein, patient, toe; bind: wound, heel, toe, arm; check:
        vein, pulse, eye, weight, heart; ease: pain, cough, ache; save: patient,
        child, mother, miner; see: patient, doctor, nurse, healer; wash: wound,
        hand, hair, sore; bring: cane, bandage, pill, pillow""",
        "sore weak deep pale ill left",
        """in the ward; at the clinic; by the bed; in the vein; on the heel; at the
        hospital; for the whole week; beside the pillow; on the sore toe""",
        """the patient was pale; the wound had healed; the pain was great; the nurse
        was there; the doctor was right; the fever had passed; the boy was weak""",
    ),
    domain(
        "seller buyer trader merchant dealer jeweller thief",
        """sell: ring, ~gold, ~jewellery, pair, ~wool, bell; buy: pair, ring, jewel,
        ~silk, carpet, bowl; steal: ring, purse, cent, jewel, coin; weigh: ~gold,
        ~silver, coin, ~wool; count: cent, coin, ring, pair; pay: cent, dealer,
        bill, price; wrap: ring, bowl, vase, present; hide: ring, purse, coin, key""",
        "cheap dear fair new whole rare",
        """at the market; at the sale; in the cellar; by the stall; at the fair; for
        the sale; in the main street; for a fair price; for eight cents""",
        """the sale was over; the price was too high; the seller was gone; the coins
        were gold; the stall was bare; the thief had fled; the profit was small""",
    ),
    domain(
        "carpenter smith miner builder painter plumber mason",
        """saw: board, beam, log, ~wood; weld: ~steel, pipe, frame, grate; lay:
        brick, ~slate, floor, beam, stair; paint: ceiling, stair, wall, board,
        gate; mine: ~ore, ~coal, ~gold, ~iron; build: stair, wall, roof, gate,
        frame; fix: leak, pipe, stair, hinge, lock; bore: hole, mine, tunnel""",
        "whole bare straight grey wooden great",
        """in the mine; at the site; on the stair; under the ceiling; by the wood
        pile; on the steel frame; in the workshop; behind the board; with a plane""",
        """the pipe had a leak; the ore was found; the wood was wet; the steel was
        bent; the site was bare; the paint had dried; the stairs were straight""",
    ),
    domain(
        "hunter ranger camper scout child wolf",
        """hunt: deer, boar, hare, bear; track: bear, deer, wolf, hare, moose; see:
        hare, bear, paw, toad, deer; chop: ~wood, tree, log, branch; hear: bear,
        owl, wolf, toad, whale; pitch: tent, camp; chase: hare, deer, boar, flea;
        find: paw, trail, creek, lair, berry""",
        "bare brown great wild lone hoarse",
        """in the wood; by the creek; at the camp; near the lair; in the mist; under
        the bough; up the hill; through the fir trees; at the peak; where the deer
        stood""",
        """the bear had gone; the deer had fled; the wood was dark; the mist had
        risen; the night was cold; the wolf could be heard; the tail was seen""",
    ),
    domain(
        "tailor bride groom seamstress weaver model lady",
        """sew: seam, suit, gown, veil, hem; dye: ~cloth, ~wool, ~lace, hair; wear:
        veil, suit, pair, gown, belt; knit: pair, scarf, sock, shawl; tie: knot,
        lace, bow, belt; iron: shirt, suit, pleat, gown; choose: veil, gown, ring,
        colour; measure: waist, heel, sleeve, seam""",
        "bridal red new tight plain blue",
        """in the suite; at the waist; in the bridal shop; by the mirror; on the
        aisle; at the altar; over the heel; with a knot; for the wedding""",
        """the bride wore white; the seam was torn; the dye was red; the knot was
        tight; the groom was there; the veil was too long; the suite was theirs""",
    ),
    domain(
        "runner coach rider swimmer captain champion team",
        """win: race, medal, match, cup, game; lose: race, match, game, medal; throw:
        ball, disc, hammer; lift: weight, cup, bar; beat: team, rival, champion;
        watch: race, match, game, team; train: team, rider, muscle; lead: race,
        team, league""",
        "whole great weak fair minor final",
        """at the meet; on the course; in the league; on the grass; at the games; in
        the heat; by one point; in four games; through the pain; in the final week""",
        """the team had won; the race was over; the course was wet; the score was
        eight to two; the coach was right; the crowd had heard the bell; the medal
        was lost""",
    ),
    domain(
        "priest nun monk mourner sexton choirboy prophet",
        """ring: bell; pray: prayer, psalm; sing: hymn, psalm, mass; bless: altar,
        soul, knight, bread; save: soul, altar, relic; light: candle, lamp; hold:
        mass, cross, candle, book; bury: bell, relic, cross""",
        "holy whole old dear sole poor",
        """in the church; at the altar; in the aisle; by the cross; at the morning
        mass; in mourning; below the bell; with the whole choir; for the soul of
        the dead""",
        """the bell had tolled; the mass was over; the nuns were at peace; the rite
        was long; the choir had sung; the mourners had gone; none but the nun was
        there""",
    ),
)
