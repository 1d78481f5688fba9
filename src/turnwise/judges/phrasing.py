"""Words that fit any conversation: what is left of a reply without them is what it really says.

`COURTESY` are the words of greetings, thanks and offers of help, which people rightly repeat. `GENERAL` adds the vague words of
opinion, feeling and service that carry no subject. Both are lists of single words, not of phrases, written from general
knowledge of spoken service dialogues.
"""

from __future__ import annotations

from turnwise.judges.wording import word_list

COURTESY = frozenset(
    word_list("""
    thank thanks welcome goodbye bye hello hi hey good great nice wonderful lovely day evening morning afternoon night weekend
    enjoy have help helping assist assistance assisting anything something else need needs want glad happy pleasure course
    absolutely certainly gladly alright ok okay yes no sorry apologies apologize excuse problem worries take care safe fine
    perfect excellent yeah yep hmm well then much lot again""")
)
GENERAL = COURTESY | frozenset(
    word_list("""
    able actually ago agree all almost already always amazing and another answer any anybody anyone anyway appreciate around
    ask asking aware away awesome back bad basically because been before being believe best better bit both bring brings call
    came care case certain chance change choice choices choose clear clearly come comes coming completely confident confirm
    consider cool could curious customer customers decide definitely depend depends detail details different difficult do doing
    done doubt down each easily easy either end enough especially even ever every everybody everyone everything exactly
    experience explain fact fair far feel feeling feelings feels few find first follow forward fun general get gets getting
    give given go goes going got guess happen happened happens hard hear hearing here hold honest honestly hope hoping idea
    ideas imagine important indeed information interest interested interesting issue keep kind kindly know knowing last later
    least leave less life like likely little long look looking looks lot lots love made make makes making many matter matters
    maybe mean means mention mentioned might mind moment more most much must myself natural naturally near never new next
    none normal nothing noted notice now number obviously occur offer often once only open opinion option options order other
    others otherwise own part particular pass past people perhaps person personal plan plenty point position possible
    possibly prefer preference preferences pretty probably proceed provide put question questions quick quickly quite rather
    ready real really reason reasons recommend regarding remember repeat request requests rest right said same satisfaction
    say saying says see seem seems seen sense serve service services several share sharing short should simple simply
    situation somebody someone sometimes somewhat soon sort sound sounds speak special start step still stop story stuff such
    suggest suit support suppose surely talk tell telling thing things think thinking thought thoughts through time times
    today together told too totally touch toward try trying turn turns type under understand understandable understanding
    understood unfortunately until usual usually valuable value various view wait wanted way ways whatever whenever wherever
    whether while whole why wish within without wonder word words work working works world worry worth write wrong""")
)
