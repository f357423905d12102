// Queues of replays on a driver that records every call: which graphs it is given to launch, which it keeps, and what happens when
// it cannot.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_rig.h"

// Recordings of one plan by letter, from 'a'; a queue is a word of them. NULL: not there.
typedef struct letters { rig rig; rp_recording *of[26]; } letters;

static void letters_open(letters *l, const rp_cuda_driver *driver, int n) {
    *l = (letters){ 0 };
    assert_int_equal(rig_open(&l->rig, driver, 0, false), RP_OK);
    assert_int_equal(rig_plan(&l->rig), RP_OK);
    for (int i = 0; i < n; i++) { assert_int_equal(l->rig.device.backend->record(&l->rig.device, l->rig.plan, &l->of[i]), RP_OK); }
}

static void letters_close(letters *l) {
    for (int i = 0; i < 26; i++) { l->rig.device.backend->recording_destroy(l->of[i]); }
    rig_close(&l->rig);
}

static rp_status send(letters *l, const char *word) {
    rp_recording *queue[1024];
    const uint32_t n = (uint32_t)strlen(word);
    assert_true(n <= 1024);
    for (uint32_t i = 0; i < n; i++) { queue[i] = l->of[word[i] - 'a']; }
    clear_calls();
    fake.n_replays = 0;
    const uint64_t replays = l->rig.device.counters.replays;
    const rp_status status = l->rig.device.backend->replay(&l->rig.device, queue, n);
    if (status == RP_OK) { assert_int_equal(l->rig.device.counters.replays, replays + n); }
    return status;
}

// What the driver was to launch, as words with a space between: a recording's own graph shows as a dot.
static const char *launched(const letters *l) {
    static char text[2048];
    size_t used = 0;
    for (int i = 0; i < fake.n_replays; i++) {
        const fake_graph *g = &fake.replays[i];
        if (i > 0) { text[used++] = ' '; }
        if (g->n_children == 0) { text[used++] = '.'; }
        for (int c = 0; c < g->n_children; c++) {
            int letter = 0;
            while (l->of[letter] == NULL || l->of[letter]->graph != g->children[c]) { assert_true(++letter < 26); }
            text[used++] = (char)('a' + letter);
        }
        assert_true(used < sizeof text - 100);
    }
    text[used] = 0;
    return text;
}

static void repeat(char *word, char letter, uint32_t n) {
    memset(word, letter, n);
    word[n] = 0;
}

// The first time recording by recording, while it is joined; from then on one launch and nothing else.
static void a_queue_is_one_launch(void **state) {
    (void)state;
    letters l;
    rp_cuda_driver driver = fake_table();
    letters_open(&l, &driver, 4);
    const rp_counters before = l.rig.device.counters;
    assert_int_equal(send(&l, "abbc"), RP_OK);
    assert_calls("context_push", "exec_launch", "exec_launch", "exec_launch", "exec_launch", "graph_create", "graph_add_child",
                 "graph_add_child", "graph_add_child", "graph_add_child", "graph_instantiate", "exec_upload", "graph_destroy",
                 "context_pop");
    assert_string_equal(launched(&l), ". . . .");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(send(&l, "abbc"), RP_OK);
        assert_calls("context_push", "exec_launch", "context_pop");
        assert_string_equal(launched(&l), "abbc");
    }
    assert_int_equal(send(&l, "abc"), RP_OK);          // another horizon is another queue, and the first stays
    assert_string_equal(launched(&l), ". . .");
    assert_int_equal(send(&l, "abc"), RP_OK);
    assert_string_equal(launched(&l), "abc");
    assert_int_equal(send(&l, "abbc"), RP_OK);
    assert_string_equal(launched(&l), "abbc");
    assert_int_equal(send(&l, "b"), RP_OK);            // one alone is its recording
    assert_calls("context_push", "exec_launch", "context_pop");
    assert_string_equal(launched(&l), ".");
    assert_int_equal(l.rig.device.counters.recordings, before.recordings);
    assert_int_equal(l.rig.device.counters.buffers, before.buffers);
    letters_close(&l);
}

// Long queues are cut so that what repeats is one batch, made once.
static void long_queues_are_cut(void **state) {
    (void)state;
    static const uint32_t most = RP_CUDA_BATCH_REPLAYS;
    letters l;
    rp_cuda_driver driver = fake_table();
    char queue[1024], want[1024], word[256];
    letters_open(&l, &driver, 6);
    assert_true(most * l.of[0]->n_nodes <= RP_CUDA_BATCH_NODES);    // so it is the replays that are too many here

    // A horizon: the odd steps with the prompt, then batches of steps alone, then the end.
    repeat(word, 'c', 3 * most + 5);
    snprintf(queue, sizeof queue, "ab%sd", word);
    assert_int_equal(send(&l, queue), RP_OK);
    assert_int_equal(count_calls("exec_launch"), (int)strlen(queue));
    assert_int_equal(count_calls("graph_instantiate"), 2);                    // of steps alone one; the end is one replay
    repeat(word, 'c', most);
    snprintf(want, sizeof want, "abccccc %s %s %s .", word, word, word);
    assert_int_equal(send(&l, queue), RP_OK);
    assert_string_equal(launched(&l), want);
    assert_int_equal(count_calls("graph_instantiate"), 0);

    // Of another length: the batch of steps is there already.
    repeat(word, 'c', most);
    snprintf(queue, sizeof queue, "ab%sd", word);
    assert_int_equal(send(&l, queue), RP_OK);
    assert_int_equal(count_calls("graph_instantiate"), 1);                    // "ab"
    snprintf(want, sizeof want, "ab %s .", word);
    assert_int_equal(send(&l, queue), RP_OK);
    assert_string_equal(launched(&l), want);

    // Chunks of paths; and windows that slide.
    assert_int_equal(send(&l, "abcccbcccbcccd"), RP_OK);
    assert_int_equal(count_calls("graph_instantiate"), 3);
    assert_int_equal(send(&l, "abcccbcccbcccd"), RP_OK);
    assert_string_equal(launched(&l), "abccc bccc bcccd");
    assert_int_equal(send(&l, "abccefefefd"), RP_OK);
    assert_int_equal(send(&l, "abccefefefd"), RP_OK);
    assert_string_equal(launched(&l), "abccef ef efd");
    letters_close(&l);
}

// Recordings of many nodes: fewer in a batch, and one that is more than a batch holds is launched alone.
static void batches_hold_so_many_nodes(void **state) {
    (void)state;
    letters l;
    rp_cuda_driver driver = fake_table();
    letters_open(&l, &driver, 3);
    assert_int_equal(l.of[0]->n_nodes, 5);
    l.of[1]->n_nodes = RP_CUDA_BATCH_NODES / 3, l.of[2]->n_nodes = RP_CUDA_BATCH_NODES + 1;
    assert_int_equal(send(&l, "abbbbb"), RP_OK);
    assert_int_equal(send(&l, "abbbbb"), RP_OK);
    assert_string_equal(launched(&l), "abb bbb");
    assert_int_equal(send(&l, "bbbbb"), RP_OK);
    assert_int_equal(send(&l, "bbbbb"), RP_OK);
    assert_string_equal(launched(&l), "bbb bb");
    assert_int_equal(send(&l, "bbbbbba"), RP_OK);
    assert_int_equal(count_calls("graph_instantiate"), 0);     // the last three are the batch that is there; the end is not joined to them
    assert_string_equal(launched(&l), "bbb bbb .");
    assert_int_equal(send(&l, "accabc"), RP_OK);
    assert_int_equal(send(&l, "accabc"), RP_OK);
    assert_string_equal(launched(&l), ". . . ab .");
    letters_close(&l);
}

// No more are kept than there is room for: the one that was used longest ago goes. A queue of more than are kept makes no others.
static void batches_are_bounded(void **state) {
    (void)state;
    letters l;
    rp_cuda_driver driver = fake_table();
    char word[RP_CUDA_BATCH_REPLAYS + 1], queue[1024];
    letters_open(&l, &driver, 26);
    const int before = fake.alive;
    for (uint32_t n = 2; n < RP_CUDA_MAX_BATCHES + 4; n++) {
        repeat(word, 'a', n);
        assert_int_equal(send(&l, word), RP_OK);
        assert_int_equal(send(&l, "aa"), RP_OK);       // stays in use
    }
    assert_int_equal(fake.alive, before + RP_CUDA_MAX_BATCHES);
    assert_int_equal(send(&l, "aa"), RP_OK);
    assert_string_equal(launched(&l), "aa");
    assert_int_equal(send(&l, "aaa"), RP_OK);
    assert_string_equal(launched(&l), ". . .");
    queue[0] = 0;
    for (uint32_t i = 0; i < RP_CUDA_MAX_BATCHES + 2; i++) {   // each batch ends where the next one's first letter was before
        const char pair[] = { (char)('a' + i / 25), (char)('a' + i / 25 + 1 + i % (25 - i / 25)), 0 };
        strcat(queue, pair), strcat(queue, pair);
    }
    for (int turn = 0; turn < 3; turn++) {
        assert_int_equal(send(&l, queue), RP_OK);
        assert_int_equal(fake.alive, before + RP_CUDA_MAX_BATCHES);
        assert_int_equal(count_calls("graph_instantiate"), turn == 0 ? RP_CUDA_MAX_BATCHES : 0);
        assert_int_equal(count_calls("exec_destroy"), turn == 0 ? RP_CUDA_MAX_BATCHES : 0);
    }
    letters_close(&l);
}

// A recording takes along the batches that it is in, so that another at its place in memory is never taken for it.
static void batches_go_with_their_recordings(void **state) {
    (void)state;
    letters l;
    rp_cuda_driver driver = fake_table();
    letters_open(&l, &driver, 3);
    const rp_backend *cuda = l.rig.device.backend;
    const int before = fake.alive;
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(send(&l, "ab"), RP_OK);
        assert_int_equal(send(&l, "bc"), RP_OK);
    }
    assert_string_equal(launched(&l), "bc");
    assert_int_equal(fake.alive, before + 2);
    clear_calls();
    cuda->recording_destroy(l.of[0]);
    assert_calls("context_push", "stream_wait", "exec_destroy", "exec_destroy", "graph_destroy", "context_pop");
    assert_int_equal(fake.alive, before - 2 + 1);      // its graph, twice, and "ab"; "bc" is there
    assert_int_equal(cuda->record(&l.rig.device, l.rig.plan, &l.of[0]), RP_OK);
    assert_int_equal(send(&l, "ab"), RP_OK);
    assert_string_equal(launched(&l), ". .");
    assert_int_equal(send(&l, "bc"), RP_OK);
    assert_string_equal(launched(&l), "bc");
    cuda->recording_destroy(l.of[1]);
    l.of[1] = NULL;
    assert_int_equal(fake.alive, before - 2);
    letters_close(&l);
}

// A step in small: logits, a draw of them; and, `beside`, a copy that nothing comes behind.
static rp_plan *small_step(rig *r, bool closes, bool beside) {
    rp_arena *arena = &r->arena;
    rp_graph *g = rp_graph_create(&r->device, arena, "step");
    rp_tensor *x = rp_tensor_bind(arena, "x", RP_SHAPE(RP_F32, 1, WIDTH), r->x, 0);
    rp_tensor *w = rp_tensor_bind(arena, "w", RP_SHAPE(RP_F32, WIDTH, WIDTH), r->weights, 0);
    rp_tensor *settings = rp_tensor_bind(arena, "settings", RP_SHAPE(RP_U32, 3), r->x, 256);
    rp_tensor *n_bars = rp_tensor_bind(arena, "bars", RP_SHAPE(RP_U32, 1), r->x, 272);
    rp_tensor *ids = rp_tensor_bind(arena, "ids", RP_SHAPE(RP_U32, 1), r->x, 288);
    rp_tensor *step = rp_tensor_bind(arena, "step", RP_SHAPE(RP_U32, RP_STEP_WORDS), r->x, 304);
    rp_tensor *tokens = rp_tensor_bind(arena, "tokens", RP_SHAPE(RP_U32, 1, 1, 4, 2), r->out, 0);
    rp_tensor *copied = rp_tensor_bind(arena, "copied", RP_SHAPE(RP_F32, 1, WIDTH), r->out, 256);
    const struct rp_linear_params product = { .m = 1, .n = WIDTH, .k = WIDTH };
    const struct rp_draw_token_params draw = { .batch = 1, .paths = 1, .n = WIDTH, .which = 1, .tokens_cap = 4, .window = 9, .moved = closes };
    const struct rp_copy_params words = { .n = WIDTH };
    rp_tensor *logits[] = { NULL }, *drawn[] = { tokens, NULL };
    rp_graph_add(g, RP_OP_LINEAR, "logits", &product, sizeof product, (rp_tensor *[]){ x, w, NULL, NULL, NULL, NULL }, logits);
    if (beside) { rp_graph_add(g, RP_OP_COPY, "beside", &words, sizeof words, (rp_tensor *[]){ x }, (rp_tensor *[]){ copied }); }
    rp_graph_add(g, RP_OP_DRAW_TOKEN, "draw", &draw, sizeof draw, (rp_tensor *[]){ logits[0], settings, n_bars, ids, step, NULL }, drawn);
    rp_plan *made = NULL;
    assert_int_equal(rp_plan_create(g, &made), RP_OK);
    rp_plan_bind(g, made, r->activations);
    return made;
}

// Replays behind one that closes begin while its last launch is at work: they are one child with it, and their first launches come behind that
// one by programmatic edges. Where nothing closes, something is beside the last launch, or the device has no such edges, each is a child.
static void what_closes_is_followed_early(void **state) {
    (void)state;
    static const struct { bool closes, beside; int major, children; } cases[] = {
        { true, false, 9, 2 }, { false, false, 9, 4 }, { true, true, 9, 4 }, { true, false, 8, 4 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        letters l;
        fake_reset(NULL);
        fake.major = cases[i].major;
        rp_cuda_driver driver = fake_table();
        letters_open(&l, &driver, 1);
        const rp_backend *cuda = l.rig.device.backend;
        assert_int_equal(cuda->record(&l.rig.device, small_step(&l.rig, cases[i].closes, cases[i].beside), &l.of[1]), RP_OK);
        assert_int_equal(cuda->record(&l.rig.device, l.rig.plan, &l.of[2]), RP_OK);
        const bool chain = cases[i].children == 2;
        const int before = fake.alive;
        assert_int_equal(l.of[1]->closes, chain);
        fake.n_nodes = 0;
        assert_int_equal(send(&l, "abbc"), RP_OK);          // singly; and made meanwhile
        assert_int_equal(fake.alive, before + 1);
        assert_int_equal(fake.n_nodes, chain ? 2 + 2 + 5 : 0);
        assert_int_equal(send(&l, "abbc"), RP_OK);
        assert_int_equal(fake.n_replays, 1);
        assert_int_equal(fake.replays[0].n_children, cases[i].children);
        static const int behind[] = { 0, 1, 2, 3, -1, 3 };     // of nodes 1 to 6: of b, and b; what c begins with, "norm" and, behind "first", "early"
        for (int n = 1; n <= 6 && chain; n++) {
            if (behind[n - 1] < 0) { continue; }
            assert_int_equal(fake.nodes[n].n_deps, 1);
            assert_int_equal(fake.nodes[n].deps[0], behind[n - 1]);
            assert_true(fake.nodes[n].overlaps);
        }
        letters_close(&l);
    }
}

// What the driver cannot join is launched recording by recording, and not tried again.
static void what_cannot_be_joined_is_launched_singly(void **state) {
    (void)state;
    static const struct { int call; const char *name; } calls[] = {
        { 4, "graph_create" }, { 5, "graph_add_child" }, { 6, "graph_add_child" }, { 7, "graph_instantiate" }, { 8, "exec_upload" } };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        letters l;
        rp_cuda_driver driver = fake_table();
        fake_reset(NULL);
        letters_open(&l, &driver, 2);
        const int before = fake.alive;
        fake.countdown = 0, fake.fail_at = calls[i].call, fake.fail_with = RP_CU_OUT_OF_MEMORY;   // after context_push, two launches
        assert_int_equal(send(&l, "ab"), RP_OK);
        assert_string_equal(fake.failed, calls[i].name);
        assert_string_equal(launched(&l), ". .");
        assert_int_equal(fake.alive, before);
        assert_int_equal(send(&l, "ab"), RP_OK);
        assert_calls("context_push", "exec_launch", "exec_launch", "context_pop");
        letters_close(&l);
    }
}

static void a_batch_that_fails_is_named(void **state) {
    (void)state;
    letters l;
    rp_cuda_driver driver = fake_table();
    letters_open(&l, &driver, 2);
    assert_int_equal(send(&l, "abb"), RP_OK);
    fake.refuse_graphs = 719;
    assert_int_equal(send(&l, "abb"), RP_DEVICE_LOST);
    assert_non_null(strstr(l.rig.device.error.text, "replaying 3 recordings, 'small' to 'small'"));
    assert_int_equal(fake.n_replays, 1);
    fake.refuse_graphs = 0;
    letters_close(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_queue_is_one_launch, fake_reset),
        cmocka_unit_test_setup(long_queues_are_cut, fake_reset),
        cmocka_unit_test_setup(batches_hold_so_many_nodes, fake_reset),
        cmocka_unit_test_setup(batches_are_bounded, fake_reset),
        cmocka_unit_test_setup(batches_go_with_their_recordings, fake_reset),
        cmocka_unit_test_setup(what_closes_is_followed_early, fake_reset),
        cmocka_unit_test_setup(what_cannot_be_joined_is_launched_singly, fake_reset),
        cmocka_unit_test_setup(a_batch_that_fails_is_named, fake_reset),
    };
    return cmocka_run_group_tests_name("cuda_queue", tests, NULL, NULL);
}
