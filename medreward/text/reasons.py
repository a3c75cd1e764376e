"""The reason codes of a score: why it is what it is, one sentence each."""

from __future__ import annotations

FORMAT_REASONS = {
    "no_think_tag": "there is neither <think> nor </think>",
    "no_answer_tag": "there is neither <answer> nor </answer>",
    "several_thinks": "<think> or </think> occurs more than once",
    "several_answers": "<answer> or </answer> occurs more than once, so none of them counts",
    "think_unclosed": "<think> is never closed",
    "answer_unclosed": "<answer> is never closed (was the completion cut off?)",
    "think_unopened": "</think> without <think> (does the chat template already open it?)",
    "answer_unopened": "</answer> without <answer>",
    "nested_tags": "a tag opens inside another element",
    "answer_before_think": "the answer comes before the reasoning",
    "tags_reordered": "a closing tag comes before its opening tag",
    "empty_think": "the reasoning has no letter or digit",
    "empty_answer": "the answer is empty",
    "text_outside": "there is text outside of <think> and <answer>",
}
ANSWER_REASONS = {
    "correct": "the answer is right",
    "wrong_label": "the answer names another label",
    "wrong_grade": "the answer names another grade",
    "no_answer": "there is no answer to read: no single, closed <answer> outside of the reasoning",
    "label_unknown": "the answer names no label of the task",
    "several_labels": "the answer names more than one label",
    "label_denied": "the answer denies the label it names, and asserts none",
    "label_open": "the answer leaves open the label it names, or asks about it",
    "wrong_option": "the answer gives another option",
    "option_unknown": "the answer gives neither the letter nor the text of an option",
    "several_options": "the answer gives more than one option, or a letter with another one's text",
    "option_denied": "the answer denies the option it gives, and asserts none",
    "option_open": "the answer leaves open the option it gives, or asks about it",
    "options_partial": "the answer does not give all of the right options and no other",
    "grade_unknown": "the answer names no grade of the task",
    "several_grades": "the answer names more than one grade",
    "grade_denied": "the answer denies the grade it names, and asserts none",
    "grade_open": "the answer leaves open the grade it names ('at least 2'), or asks about it",
    "grade_out_of_scale": "the answer has a number that is not a grade of the scale",
    "answer_too_long": "the answer is too long to be one",
    "answer_not_understood": "something in the answer is not understood, so that none of it counts",
    "labels_partial": "the answer names some of the labels, or others beside them",
    "all_labels": "the answer names every label of the task, which is no answer",
    "finding_and_none": "the answer names a finding and says that there is none",
    "box_missed": "no predicted box earns anything, or true boxes were not given at all",
    "box_partial": "the predicted boxes do not match the true ones exactly",
    "box_surplus": "there are more boxes than there are things to find",
    "boxes_unreadable": "the answer has no boxes [x1, y1, x2, y2] and does not say that there is "
    "nothing",
    "point_missed": "no point lies in a true box, or there is nothing to point at",
    "points_partial": "some of the true boxes have no point, or there are others beside them",
    "points_unreadable": "the answer is no list of points [x, y] and nothing else",
    "boxes_and_none": "the answer gives boxes and says that there is nothing to find",
    "boxes_open": "the answer denies the boxes or points it gives, or leaves open which it means",
    "too_many_boxes": "the answer has more boxes than are read",
    "box_malformed": "a group of numbers is no box of four finite numbers; it counts as wrong",
    "box_inverted": "a box does not have x1 < x2 and y1 < y2; it counts as wrong",
    "box_label_unknown": "a box has no label of the task, or several; it counts as wrong",
    "out_of_image": "a box leaves the image; it counts as wrong",
    "mask_unreadable": "the answer has no polygons and no RLE, and does not say that there is "
    "nothing",
    "mask_malformed": "a polygon or RLE is not well formed, leaves the image or has another size",
    "mask_partial": "the predicted mask is not exactly the true one",
    "mask_missed": "the predicted mask does not overlap the true one",
    "frame_suspect": "the boxes cannot be in the frame that the task sets, but fit into another",
}
RECITATION_REASONS = {
    "recitation_rewarded": "the reasoning repeats wording of the knowledge, which delta +1 rewards",
    "recitation_penalised": "the reasoning repeats wording of the knowledge, "
    "which delta -1 penalises",
}
REASONS = FORMAT_REASONS | ANSWER_REASONS | RECITATION_REASONS
