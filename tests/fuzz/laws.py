"""All laws, with the number of cases that a full run tries of each."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.inputs.mutants import FORMATS, mutants
from tests.fuzz.law import Law, law
from tests.fuzz.targets import answers, bodies, links, pictures, refusals, spellings

LAWS: dict[str, Law] = {
    "any text is bytes or a bad image": law(spellings.ANY_TEXT, spellings.any_text_is_bytes_or_a_bad_image, cases=1000),
    "a foul spelling is bytes or a bad image": law(
        spellings.FOUL, spellings.a_foul_spelling_is_bytes_or_a_bad_image, cases=1000
    ),
    "a fair spelling is decoded": law(spellings.FAIR, spellings.a_fair_spelling_is_decoded, cases=1000),
    "any bytes are JSON or refused": law(answers.ANY_BYTES, answers.any_bytes_are_json_or_refused, cases=500),
    "any JSON is an answer or an error": law(answers.ANY_ANSWER, answers.any_json_is_an_answer_or_an_error, cases=1000),
    "an edited answer is an answer or an error": law(
        answers.EDITED_ANSWER, answers.an_edited_answer_is_an_answer_or_an_error, cases=2000
    ),
    "any body gets a reply": law(answers.SENT, answers.any_body_gets_a_reply, cases=2000),
    "any status is an error of ours": law(refusals.REFUSALS, refusals.any_status_is_an_error_of_ours, cases=1500),
    "no cut leaves a part of a secret": law(refusals.CUT, refusals.no_cut_leaves_a_part_of_a_secret, cases=1500),
    "any error object is an error of ours": law(
        refusals.REFUSALS, refusals.any_error_object_is_an_error_of_ours, cases=1000
    ),
    "any saying is a sentence": law(refusals.SAYINGS, refusals.any_saying_is_a_sentence, cases=500),
    "any wait is a time or nothing": law(refusals.WAITS, refusals.any_wait_is_a_time_or_nothing, cases=1000),
    "no mutant of PNG does harm": law(
        mutants("png"), pictures.no_mutant_of_png_does_harm, cases=2500, known=(pictures.LATE_PALETTE,)
    ),
    "no mutant of JPEG does harm": law(mutants("jpeg"), pictures.no_mutant_of_jpeg_does_harm, cases=2500),
    "no mutant of WebP does harm": law(mutants("webp"), pictures.no_mutant_of_webp_does_harm, cases=2500),
    "no mutant of GIF does harm": law(mutants("gif"), pictures.no_mutant_of_gif_does_harm, cases=2500),
    "no mutant does harm where it is taken apart": law(
        st.sampled_from(FORMATS).flatmap(mutants), pictures.no_mutant_does_harm_where_it_is_taken_apart, cases=1000
    ),
    "any link is fair or unsafe": law(links.URLS, links.any_link_is_fair_or_unsafe, cases=2000),
    "any redirect is fair or unsafe": law(links.REDIRECTS, links.any_redirect_is_fair_or_unsafe, cases=1000),
    "no secret is left in a text": law(links.FOREIGN, links.no_secret_is_left_in_a_text, cases=1500),
    "nothing like a key is left in a text": law(links.UNKNOWN, links.nothing_like_a_key_is_left_in_a_text, cases=500),
    "cuts do not matter": law(bodies.PIECES, bodies.cuts_do_not_matter, cases=1500),
}
