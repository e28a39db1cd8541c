/* scriptmode.h: open and call libraries made by scriptmode.export_library.
 *
 * One header for every model; nothing to link but libdl.  A program that includes it is compiled
 * once and loads any library at run time:
 *
 *     scriptmode_error error = NULL;
 *     scriptmode_model *model = scriptmode_open("out/libcell.so", NULL, &error);
 *     scriptmode_value args[2] = {scriptmode_tensor_value(&x), scriptmode_int_value(3)}, result;
 *     if (model && scriptmode_call(model, "forward", args, 2, &result, &error) == 0) {
 *         ... result.as.tensor->data ...
 *         scriptmode_release(model, &result);
 *     } else { fputs(error, stderr); free(error); }
 *     scriptmode_close(model);
 *
 * Calls may come from any number of threads at once.  No exception, signal handler or lock of a
 * library is ever seen by the caller: a call gives 0, or another number and the error's text, which
 * the caller frees.
 *
 * Tensors are DLPack's DLTensor.  Arguments are lent for the call: a result may share the memory of
 * an argument or of the weights, so keep both until the result is released, and do not write to it.
 */
#ifndef SCRIPTMODE_H
#define SCRIPTMODE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if !defined(_WIN32) && !defined(__wasm__)
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define SCRIPTMODE_HAS_LOADER 1
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define SCRIPTMODE_ABI 1

/* code: 0 int, 1 uint, 2 float, 4 bfloat, 5 complex, 6 bool; bits of an element; lanes: 1 */
typedef struct scriptmode_tensor {
  void *data;
  int32_t device_type; /* 1: the CPU */
  int32_t device_id;
  int32_t ndim;
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
  int64_t *shape;
  int64_t *strides; /* in elements; NULL: rows one after the other */
  uint64_t byte_offset;
} scriptmode_tensor;

enum scriptmode_kind {
  SCRIPTMODE_NONE = 0,
  SCRIPTMODE_BOOL = 1,
  SCRIPTMODE_INT = 2,
  SCRIPTMODE_FLOAT = 3,
  SCRIPTMODE_STR = 4,    /* as.text: n bytes of UTF-8 */
  SCRIPTMODE_TENSOR = 5,
  SCRIPTMODE_LIST = 6,   /* as.items: n values */
  SCRIPTMODE_TUPLE = 7,
  SCRIPTMODE_DICT = 8,   /* n / 2 keys and values by turns; only as a result */
  SCRIPTMODE_COMPLEX = 9 /* as.real, and the imaginary part in bits of n */
};

typedef struct scriptmode_value {
  int32_t kind;
  int32_t reserved;
  union {
    int64_t integer; /* bools too */
    double real;
    const char *text;
    scriptmode_tensor *tensor;
    struct scriptmode_value *items;
  } as;
  int64_t n;
  void *owner;
} scriptmode_value;

typedef char *scriptmode_error; /* text in UTF-8, from malloc */

typedef struct scriptmode_method {
  const char *name;
  const char *signature;
  int64_t n_parameters;
  void *reserved[5];
} scriptmode_method;

typedef struct scriptmode_api {
  int64_t abi;
  const char *name;
  const char *flavour; /* "libtorch" or "standalone" */
  int64_t weights_size;
  int64_t n_methods;
  const scriptmode_method *methods;
  int32_t (*open)(const void *weights, int64_t size, void **handle, scriptmode_error *error);
  void (*close)(void *handle);
  int32_t (*call)(void *handle, int64_t method, const scriptmode_value *args, int64_t n_args,
                  scriptmode_value *result, scriptmode_error *error);
  void (*release)(scriptmode_value *value);
  void (*free_text)(void *text);
} scriptmode_api;

typedef struct scriptmode_model {
  const scriptmode_api *api;
  void *handle;
  void *weights; /* a private mapping, or memory of malloc */
  size_t weights_size;
  int is_mapped;
} scriptmode_model;

static inline scriptmode_error scriptmode_error_text_(const char *what, const char *which) {
  size_t n = strlen(what) + strlen(which) + 3;
  char *text = (char *)malloc(n);
  if (text) snprintf(text, n, "%s: %s", what, which);
  return text;
}

/* ---- values ---- */

static inline scriptmode_value scriptmode_value_(int32_t kind) {
  scriptmode_value v;
  memset(&v, 0, sizeof v);
  v.kind = kind;
  return v;
}
static inline scriptmode_value scriptmode_none_value(void) {
  return scriptmode_value_(SCRIPTMODE_NONE);
}
static inline scriptmode_value scriptmode_bool_value(int64_t truth) {
  scriptmode_value v = scriptmode_value_(SCRIPTMODE_BOOL);
  v.as.integer = truth != 0;
  return v;
}
static inline scriptmode_value scriptmode_int_value(int64_t number) {
  scriptmode_value v = scriptmode_value_(SCRIPTMODE_INT);
  v.as.integer = number;
  return v;
}
static inline scriptmode_value scriptmode_float_value(double number) {
  scriptmode_value v = scriptmode_value_(SCRIPTMODE_FLOAT);
  v.as.real = number;
  return v;
}
static inline scriptmode_value scriptmode_text_value(const char *text) {
  scriptmode_value v = scriptmode_value_(SCRIPTMODE_STR);
  v.as.text = text;
  v.n = (int64_t)strlen(text);
  return v;
}
static inline scriptmode_value scriptmode_tensor_value(const scriptmode_tensor *tensor) {
  scriptmode_value v = scriptmode_value_(SCRIPTMODE_TENSOR);
  v.as.tensor = (scriptmode_tensor *)tensor;
  return v;
}
static inline scriptmode_value scriptmode_list_value(const scriptmode_value *items, int64_t n) {
  scriptmode_value v = scriptmode_value_(SCRIPTMODE_LIST);
  v.as.items = (scriptmode_value *)items;
  v.n = n;
  return v;
}

/* A dense tensor of float32 over memory of the caller. */
static inline scriptmode_tensor scriptmode_float32(float *data, int64_t *shape, int32_t ndim) {
  scriptmode_tensor t;
  memset(&t, 0, sizeof t);
  t.data = data;
  t.device_type = 1;
  t.ndim = ndim;
  t.code = 2;
  t.bits = 32;
  t.lanes = 1;
  t.shape = shape;
  return t;
}

/* ---- models ---- */

/* A model over a library that is linked or loaded already, and the bytes of its weights file, which
 * must stay until it is closed. */
static inline scriptmode_model *scriptmode_attach(const scriptmode_api *api, const void *weights,
                                                  size_t size, scriptmode_error *error) {
  scriptmode_model *model = (scriptmode_model *)calloc(1, sizeof *model);
  *error = NULL;
  if (!model) {
    *error = scriptmode_error_text_("MemoryError", api->name);
    return NULL;
  }
  if (api->abi != SCRIPTMODE_ABI) {
    *error = scriptmode_error_text_("the library is of another version of scriptmode.h", api->name);
    free(model);
    return NULL;
  }
  model->api = api;
  if (api->open(weights, (int64_t)size, &model->handle, error) != 0) {
    free(model);
    return NULL;
  }
  return model;
}

static inline void scriptmode_close(scriptmode_model *model) {
  if (!model) return;
  model->api->close(model->handle);
#ifdef SCRIPTMODE_HAS_LOADER
  if (model->is_mapped) munmap(model->weights, model->weights_size);
#endif
  free(model);
}

#ifdef SCRIPTMODE_HAS_LOADER
/* Open a library; weights NULL: the file beside it, libNAME.so -> NAME.weights.  The library stays
 * loaded for the life of the process. */
static inline scriptmode_model *scriptmode_open(const char *library, const char *weights,
                                                scriptmode_error *error) {
  char beside[4096];
  void *loaded, *data = NULL;
  const scriptmode_api *api;
  scriptmode_model *model;
  struct stat about;
  size_t size = 0;
  *error = NULL;
  loaded = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!loaded) {
    *error = scriptmode_error_text_("cannot load the library", dlerror());
    return NULL;
  }
  api = (const scriptmode_api *)dlsym(loaded, "scriptmode_library");
  if (!api) {
    *error = scriptmode_error_text_("not a library of scriptmode", library);
    return NULL;
  }
  if (api->abi != SCRIPTMODE_ABI) {
    *error = scriptmode_error_text_("the library is of another version of scriptmode.h", library);
    return NULL;
  }
  if (api->weights_size > 0) {
    int file;
    if (!weights) {
      const char *slash = strrchr(library, '/');
      int folder = slash ? (int)(slash - library) + 1 : 0;
      snprintf(beside, sizeof beside, "%.*s%s.weights", folder, library, api->name);
      weights = beside;
    }
    file = open(weights, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &about) != 0) {
      if (file >= 0) close(file);
      *error = scriptmode_error_text_("cannot read the weights", weights);
      return NULL;
    }
    size = (size_t)about.st_size;
    if (size > 0) {
      data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
      if (data == MAP_FAILED) data = NULL;
    }
    close(file);
    if (!data) {
      *error = scriptmode_error_text_("cannot read the weights", weights);
      return NULL;
    }
  }
  model = scriptmode_attach(api, data, size, error);
  if (!model) {
    if (data) munmap(data, size);
    return NULL;
  }
  model->weights = data;
  model->weights_size = size;
  model->is_mapped = data != NULL;
  return model;
}
#endif

/* The number of a method, or -1. */
static inline int64_t scriptmode_find(const scriptmode_model *model, const char *method) {
  int64_t i;
  for (i = 0; i < model->api->n_methods; i++)
    if (strcmp(model->api->methods[i].name, method) == 0) return i;
  return -1;
}

/* Call a method; 0 and a result to be released, or another number and an error to be freed. */
static inline int scriptmode_call(scriptmode_model *model, const char *method,
                                  const scriptmode_value *args, int64_t n_args,
                                  scriptmode_value *result, scriptmode_error *error) {
  int64_t number = scriptmode_find(model, method);
  *error = NULL;
  *result = scriptmode_none_value();
  if (number < 0) {
    *error = scriptmode_error_text_("there is no such method", method);
    return 1;
  }
  return model->api->call(model->handle, number, args, n_args, result, error);
}

/* Give up what a result holds. */
static inline void scriptmode_release(scriptmode_model *model, scriptmode_value *value) {
  model->api->release(value);
}

#ifdef __cplusplus
}
#endif
#endif /* SCRIPTMODE_H */
