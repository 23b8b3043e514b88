"""Documents of many fields with a query of each type, written by hand for prompts with examples; no benchmark's text is among them."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["EXAMPLE_TEXTS", "ExampleText"]


class ExampleText(NamedTuple):
    """A document, and what a person may ask, claim or type to find it."""

    document: str
    question: str
    claim: str
    keywords: str
    title: str


EXAMPLE_TEXTS = (
    ExampleText(
        "Mangroves stand in salt water and yet drink from it. Their roots let water through and hold most of the salt back; what "
        "enters all the same is moved into old leaves, which turn yellow and drop, or is pressed out through glands on the leaf's "
        "underside, where it dries to white crystals.",
        "how do mangroves get rid of salt",
        "Mangrove trees store surplus salt in old leaves that they then shed.",
        "mangrove salt excretion leaves roots",
        "How mangroves live in salt water",
    ),
    ExampleText(
        "Melted chocolate that simply cools turns dull and soft, because its cocoa butter sets in unstable crystals. Tempering "
        "avoids that: the chocolate is warmed to 45 degrees, cooled to 27 while it is stirred, and warmed again to 31. Only the "
        "stable form of crystal is left, and the bar is glossy and snaps.",
        "why does chocolate have to be tempered",
        "Tempered chocolate is glossy because its cocoa butter has set in one stable crystal form.",
        "tempering chocolate temperatures cocoa butter",
        "Tempering chocolate step by step",
    ),
    ExampleText(
        "The moon turns once about its axis in the time it takes to go once round the Earth, so we always see the same face. This "
        "is no accident: the Earth raises a bulge in the moon's rock, and its pull on that bulge slowed the moon's spin until the "
        "two periods were equal. Most large moons of the solar system are locked in this way.",
        "why do we only see one side of the moon",
        "Most large moons of the solar system always turn the same face to their planet.",
        "moon tidal locking rotation period",
        "Tidal locking of moons",
    ),
    ExampleText(
        "When two branches change the same lines, the merge stops and the file holds both versions between markers. Edit the file "
        "until it says what it should, delete the markers, stage it and commit. To go back to where you were before, abort the "
        "merge; nothing that was committed is lost.",
        "how to resolve a merge conflict",
        "Aborting a merge loses no work that had been committed.",
        "merge conflict markers abort",
        "Resolving conflicts after a merge",
    ),
    ExampleText(
        "A landlord may keep a deposit only for rent that is owed and for damage beyond ordinary wear. Faded paint and a worn "
        "carpet are wear; a broken window is damage. Within thirty days of moving out the tenant receives the rest, with a written "
        "list of what was taken off and what each repair cost.",
        "can a landlord keep my deposit for worn carpet",
        "Ordinary wear of a flat may not be charged to the tenant's deposit.",
        "rental deposit deductions wear and tear",
        "What may be taken off a rental deposit",
    ),
    ExampleText(
        "Steel grows by about twelve millionths of its length with each degree, so a bridge of three hundred metres is some "
        "fourteen centimetres longer in summer than in winter. Expansion joints leave a gap for it: toothed plates slide into one "
        "another, and rollers under one end of the deck let it move without bending the piers.",
        "what are expansion joints in bridges for",
        "A steel bridge of 300 metres changes its length by more than ten centimetres over the year.",
        "bridge expansion joint thermal movement steel",
        "Expansion joints of steel bridges",
    ),
    ExampleText(
        "Before there were locks, boats were hauled over weirs with ropes, or waited until a keeper opened the dam and a flood "
        "carried them down. The chamber with a gate at each end, filled and emptied through sluices, let a boat climb a hill in "
        "either direction with little water lost, and made canals across watersheds possible.",
        "how did boats pass weirs before locks were invented",
        "The chamber lock made it possible to build canals across watersheds.",
        "canal lock history chamber gates",
        "From flash locks to chamber locks",
    ),
    ExampleText(
        "A company that cannot wait sixty days for its customers to pay sells their invoices to a factor, who pays about eighty- "
        "five per cent at once and the rest, less a fee, when the customer has paid. With recourse, the company bears the loss if "
        "he never does; without, the factor does, and charges more for it.",
        "what is the difference between factoring with and without recourse",
        "Factoring without recourse costs more because the factor bears the risk of default.",
        "invoice factoring recourse fee",
        "Selling invoices to a factor",
    ),
    ExampleText(
        "A thick flow of lava cools from its top and its bottom, and shrinks as it does. The surface cracks into a net of polygons, "
        "since that relieves the stress with the least length of crack, and the cracks follow the cooling front inwards. What "
        "remains are columns, most of them six-sided, at right angles to the surface that cooled.",
        "how do basalt columns form",
        "Basalt columns stand at right angles to the surface from which the lava cooled.",
        "columnar basalt cooling cracks hexagonal",
        "The origin of basalt columns",
    ),
    ExampleText(
        "Languages borrow most readily the names of things that arrive with their names: foods, tools, plants. Verbs are borrowed "
        "less often, and words such as pronouns hardly ever. A borrowed word is fitted to the sounds of its new language, and after "
        "some generations speakers no longer hear that it was foreign.",
        "which kinds of words are borrowed most between languages",
        "Pronouns are hardly ever borrowed from one language into another.",
        "loanwords nouns verbs borrowing hierarchy",
        "What languages borrow from each other",
    ),
    ExampleText(
        "On a keyboard every semitone is the same ratio, the twelfth root of two. Octaves are pure, fifths are a fiftieth of a "
        "semitone too narrow, which nobody minds, and major thirds are a seventh of a semitone too wide, which choirs correct by "
        "ear. In return a piece can be played in any key without retuning.",
        "why are major thirds out of tune on a piano",
        "In equal temperament the fifths are closer to pure than the major thirds.",
        "equal temperament intervals thirds fifths tuning",
        "What equal temperament costs and brings",
    ),
    ExampleText(
        "Beans and clover carry bacteria in nodules of their roots that turn nitrogen of the air into ammonium. When the plants are "
        "ploughed in, the grain that follows finds forty to a hundred kilograms of nitrogen a hectare in the soil. Growing them "
        "every third year also starves fungi that live on wheat straw.",
        "how much nitrogen do legumes leave in the soil",
        "Growing legumes between cereals lowers both the need for fertiliser and the pressure of wheat fungi.",
        "legumes crop rotation nitrogen fixation",
        "Legumes in the crop rotation",
    ),
    ExampleText(
        "Buses that run every ten minutes rarely come every ten minutes. A bus that is a little late finds more people at each "
        "stop, who take longer to board, so it falls further behind; the one after it finds few, and catches up. Holding early "
        "buses at a few stops breaks the chain better than adding buses does.",
        "why do two buses often come at once",
        "Holding buses at control points reduces bunching more than additional buses do.",
        "bus bunching headway holding strategy",
        "Why buses bunch, and what helps",
    ),
    ExampleText(
        "Sixty volunteers held a lever and let go when a light went out, once after eight hours of sleep and once after five. After "
        "the short night their median reaction was 31 milliseconds slower, and lapses of more than half a second were three times "
        "as frequent. Coffee removed the lapses for two hours and left the median as it was.",
        "does coffee make up for a short night",
        "Caffeine restores median reaction time after a night of five hours.",
        "sleep restriction reaction time lapses caffeine",
        "Reaction times after a short night, with and without coffee",
    ),
    ExampleText(
        "Set the saw's blade so that its teeth stand just above the board. Keep the board flat against the fence, stand to one side "
        "of the line of the blade, and push with a stick once your hand is nearer to it than a palm's width. Never free a jammed "
        "board while the blade still turns.",
        "how high should the blade of a table saw be",
        "A push stick should be used when the hand comes within a palm's width of the blade.",
        "table saw safety blade height push stick",
        "Cutting boards safely on a table saw",
    ),
    ExampleText(
        "The function reads a stream in blocks and gives back an iterator over its lines, without the line breaks. A last line "
        "without one is given as well. With keep_ends the breaks stay; a stream that was opened in binary mode is decoded as UTF-8, "
        "and bytes that are none raise an error with their offset.",
        "iterate over the lines of a large stream without loading it",
        "The iterator also yields a final line that has no line break.",
        "read stream lines iterator keep_ends utf-8",
        "Reading a stream line by line",
    ),
)
