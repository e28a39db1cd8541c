/* Runs the gated cell loop from several threads and compares with given numbers.
 *
 * cell LIBRARY THREADS CALLS: reads n, rows, columns, x, h and the expected result from stdin. */
#include "scriptmode.h"

#include <math.h>
#include <pthread.h>
#include <time.h>

static scriptmode_model *model;
static float x[4096], h[4096], expected[4096];
static int64_t shape[2], n, calls;
static double best = 1e9;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

static void *work(void *nothing) {
  int64_t i, k, failures = 0;
  for (i = 0; i < calls; i++) {
    scriptmode_tensor tx = scriptmode_float32(x, shape, 2), th = scriptmode_float32(h, shape, 2);
    scriptmode_value args[3], result;
    scriptmode_error error;
    double start = now(), took;
    args[0] = scriptmode_tensor_value(&tx);
    args[1] = scriptmode_tensor_value(&th);
    args[2] = scriptmode_int_value(n);
    if (scriptmode_call(model, "forward", args, 3, &result, &error) != 0) {
      fprintf(stderr, "%s\n", error);
      free(error);
      failures++;
      continue;
    }
    took = now() - start;
    if (took < best) best = took;
    if (result.kind != SCRIPTMODE_TENSOR || result.as.tensor->ndim != 2) failures++;
    else
      for (k = 0; k < shape[0] * shape[1]; k++)
        if (!(fabsf(((float *)result.as.tensor->data)[k] - expected[k]) < 1e-5f)) failures++;
    scriptmode_release(model, &result);
  }
  (void)nothing;
  return (void *)(intptr_t)failures;
}

int main(int argc, char **argv) {
  pthread_t threads[64];
  int i, many = argc > 2 ? atoi(argv[2]) : 8;
  int64_t k, failures = 0;
  scriptmode_error error;
  float *sets[3];
  double start = now();
  calls = argc > 3 ? atoi(argv[3]) : 100;
  model = scriptmode_open(argv[1], NULL, &error);
  if (!model) {
    fprintf(stderr, "%s\n", error);
    free(error);
    return 2;
  }
  fprintf(stderr, "opened in %.3f ms\n", 1e3 * (now() - start));
  if (scanf("%ld %ld %ld", (long *)&n, (long *)&shape[0], (long *)&shape[1]) != 3) return 3;
  sets[0] = x;
  sets[1] = h;
  sets[2] = expected;
  for (i = 0; i < 3; i++)
    for (k = 0; k < shape[0] * shape[1]; k++)
      if (scanf("%f", &sets[i][k]) != 1) return 3;
  for (i = 0; i < many; i++) pthread_create(&threads[i], NULL, work, NULL);
  for (i = 0; i < many; i++) {
    void *found;
    pthread_join(threads[i], &found);
    failures += (intptr_t)found;
  }
  scriptmode_close(model);
  fprintf(stderr, "fastest call %.2f us\n", 1e6 * best);
  printf("%d threads, %ld calls each, %ld failures\n", many, (long)calls, (long)failures);
  return failures != 0;
}
