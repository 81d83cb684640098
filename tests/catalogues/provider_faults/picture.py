"""Rows P57 to P69: what stands in the pictures."""

from dataclasses import replace

from simulator.pictures.corpus import ROWS

from tests.catalogues.provider_faults.expectation import INTERRUPTED, TOO_MUCH, Expect, Variants, same

GOOD = Expect()
DAMAGED = Expect(manner=INTERRUPTED, code="bad_image")
FOREIGN = Expect(manner=INTERRUPTED, code="unsupported_image")
TOO_LARGE = Expect(manner=TOO_MUCH, code="image_too_large")
BLANK = Expect(warning="only one colour")
PNG, JPEG, WEBP, GIF = (Expect(mime=f"image/{name}") for name in ("png", "jpeg", "webp", "gif"))
BLANK_PNG, BLANK_WEBP, BLANK_GIF = (replace(each, warning="only one colour") for each in (PNG, WEBP, GIF))
NOTHING_BUT_PIXELS = Expect(drops=(b"PK\x03\x04", b"<script", b"<?php", b"alert("))
NO_PLACE = Expect(drops=(b"\x25\x88",))  # the GPS directory's tag, in either order of bytes

PICTURE: dict[str, Variants] = {
    "P57": {
        **same(GOOD, "newlines", "crlf", "spaces", "tabs", "leading_space", "final_newline", "unpadded", "url_safe"),
        **same(GOOD, "url_safe_unpadded", "percent_encoded", "percent_plus", "percent_bytes"),
        **same(GOOD, "upper_case", "mixed_case", "charset", "parameters", "no_mime", "only_marker"),
        **same(GOOD, "space_after_comma", "space_before", "spaces_inside", "bare"),
        **same(GOOD, "part_image_url", "part_image_url_text", "part_output_image", "part_image", "part_markdown"),
        **same(GOOD, "part_b64_json", "part_source", "part_inline_data", "images_b64_json", "message_b64_json"),
        **same(GOOD, "choice_b64_json", "data_b64_json", "markdown", "markdown_in_angles", "markdown_lines", "html"),
        **same(GOOD, "alone", "words_around"),
    },
    "P58": {
        **same(DAMAGED, "not_base64", "one_over", "unicode", "nul", "punctuation", "padded_inside", "nothing"),
        **same(DAMAGED, "padding_only", "empty", "one_byte", "spaces"),
    },
    "P59": {
        **same(DAMAGED, "truncated_png", "truncated_jpeg", "truncated_webp", "truncated_gif"),
        **same(DAMAGED, "bad_crc_png", "bad_header_crc_png", "bad_adler_png", "flipped_png"),
        **same(DAMAGED, "few_rows_png", "no_data_png", "wrong_length_png", "signature_png", "header_png"),
        **same(DAMAGED, "header_jpeg", "header_webp", "header_gif", "early_end_jpeg"),
        **{name: Expect(mime=f"image/{name.partition('_')[0]}") for name in ROWS["sloppy"]},
    },
    "P60": {
        "webp_as_png": WEBP,
        "jpeg_as_png": JPEG,
        "gif_as_png": GIF,
        **same(PNG, "png_as_jpeg", "png_as_svg", "png_as_html", "png_as_octets", "png_as_nonsense"),
    },
    "P61": {
        **same(FOREIGN, "svg", "html", "pdf", "zip", "avif", "avif_like", "heic_like", "mp4_like", "tiff", "psd"),
        **same(FOREIGN, "eps", "bmp", "ico", "jpeg_2000_like", "elf", "exe", "text", "json"),
    },
    "P62": {
        **same(NOTHING_BUT_PIXELS, "png_zip_tail", "png_html_tail", "png_js_tail", "png_long_tail", "gif_jar_tail"),
        **same(NOTHING_BUT_PIXELS, "jpeg_zip_tail", "webp_zip_tail", "jpeg_php_comment", "jpeg_php_exif"),
        **same(NOTHING_BUT_PIXELS, "png_html_text", "gif_html_comment", "webp_html_chunk"),
    },
    "P63": {
        **same(TOO_LARGE, "claims_50000x50000", "claims_1x1000000", "claims_1000000x1", "claims_2147483647"),
        **same(TOO_LARGE, "claims_65500_jpeg", "claims_65535_gif", "claims_huge_webp"),
        **same(DAMAGED, "claims_0x0", "claims_0x0_jpeg", "claims_0x0_gif"),
    },
    "P64": same(TOO_LARGE, "bomb_9000", "bomb_13000"),
    "P65": {
        **same(DAMAGED, "ztxt_bomb", "itxt_bomb", "iccp_bomb", "many_rows"),
        # Harmless, once all that is not pixels is gone.
        **same(GOOD, "many_text_chunks", "many_unknown_chunks", "many_scans_jpeg"),
        **same(GOOD, "exif_loop_jpeg", "exif_loop_png", "exif_greedy_jpeg", "icc_junk_jpeg", "icc_junk_png"),
        "many_data_chunks": BLANK,
    },
    "P66": {
        **same(BLANK_GIF, "gif_1_frame", "gif_10_frames"),
        **same(BLANK_WEBP, "webp_1_frame", "webp_10_frames"),
        **same(BLANK_PNG, "apng_1_frame", "apng_10_frames"),
        **same(TOO_LARGE, "gif_10000_frames", "webp_10000_frames", "apng_10000_frames"),
        **same(TOO_LARGE, "gif_800_mpx", "webp_800_mpx", "apng_800_mpx"),
    },
    "P67": {
        **same(JPEG, "cmyk_jpeg", "grey_jpeg", "progressive_jpeg"),
        **same(PNG, "png_16_bit", "png_1_bit", "png_palette_alpha", "png_grey_alpha"),
        **same(BLANK_PNG, "png_interlaced", "png_40_mpx", "png_36_mpx_alpha"),
        **same(GOOD, "jpeg_exif_rotated", "webp_exif_rotated"),
        **same(NO_PLACE, "jpeg_gps", "png_gps", "webp_gps"),
        "png_c2pa": Expect(keeps=b"caBX"),
        "jpeg_c2pa": Expect(keeps=b"jumb"),
    },
    "P68": {
        "one": GOOD,
        "two": Expect(warning="1 more in the same answer"),
        "five": Expect(warning="4 more in the same answer"),
        "hundred": Expect(warning="99 more in the same answer"),
    },
    "P69": {
        "same": GOOD,  # alone it is the same as none
        "same_twice": Expect(warning="1 more in the same answer"),
        **same(BLANK, "all_black", "all_white", "transparent"),
        **same(DAMAGED, "one_pixel", "tiny_32"),
    },
}
