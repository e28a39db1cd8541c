// Runs the gated cell loop of examples/demo.py without any crate: rustc main.rs && ./main LIBRARY
use std::ffi::{c_char, c_int, c_void, CStr, CString};

#[repr(C)]
struct Tensor {
    data: *mut c_void,
    device_type: i32,
    device_id: i32,
    ndim: i32,
    code: u8,
    bits: u8,
    lanes: u16,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

// scriptmode_value; the payload is an int, the bits of a float, or a pointer
#[repr(C)]
#[derive(Clone, Copy)]
struct Value {
    kind: i32,
    reserved: i32,
    payload: u64,
    n: i64,
    owner: *mut c_void,
}

#[repr(C)]
struct Method {
    name: *const c_char,
    signature: *const c_char,
    n: i64,
    reserved: [*mut c_void; 5],
}

#[repr(C)]
struct Api {
    abi: i64,
    name: *const c_char,
    flavour: *const c_char,
    weights_size: i64,
    n_methods: i64,
    methods: *const Method,
    open: extern "C" fn(*const c_void, i64, *mut *mut c_void, *mut *mut c_char) -> i32,
    close: extern "C" fn(*mut c_void),
    call: extern "C" fn(*mut c_void, i64, *const Value, i64, *mut Value, *mut *mut c_char) -> i32,
    release: extern "C" fn(*mut Value),
    free_text: extern "C" fn(*mut c_void),
}

extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

const NONE: Value =
    Value { kind: 0, reserved: 0, payload: 0, n: 0, owner: std::ptr::null_mut() };

/// A loaded model; calls may come from several threads.
struct Model {
    api: &'static Api,
    handle: *mut c_void,
    _weights: Vec<u64>, // aligned; the handle refers to it
}

impl Model {
    fn open(path: &str) -> Result<Model, String> {
        let library = CString::new(path).unwrap();
        let symbol = CString::new("scriptmode_library").unwrap();
        let api = unsafe {
            let loaded = dlopen(library.as_ptr(), 2);
            if loaded.is_null() {
                return Err(format!("cannot load {path}"));
            }
            let found = dlsym(loaded, symbol.as_ptr()) as *const Api;
            if found.is_null() || (*found).abi != 1 {
                return Err(format!("{path} is no library of this version"));
            }
            &*found
        };
        let mut weights = Vec::new();
        let mut size = 0;
        if api.weights_size > 0 {
            let name = unsafe { CStr::from_ptr(api.name) }.to_str().unwrap();
            let beside = std::path::Path::new(path).with_file_name(format!("{name}.weights"));
            let bytes = std::fs::read(beside).map_err(|e| e.to_string())?;
            size = bytes.len();
            weights = vec![0u64; size / 8 + 1];
            let target = weights.as_mut_ptr() as *mut u8;
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, size) };
        }
        let (mut handle, mut error) = (std::ptr::null_mut(), std::ptr::null_mut());
        let data = weights.as_ptr() as *const c_void;
        if (api.open)(data, size as i64, &mut handle, &mut error) != 0 {
            return Err(take(api, error));
        }
        Ok(Model { api, handle, _weights: weights })
    }

    fn call(&self, method: i64, arguments: &[Value]) -> Result<Value, String> {
        let (mut result, mut error) = (NONE, std::ptr::null_mut());
        let n = arguments.len() as i64;
        match (self.api.call)(self.handle, method, arguments.as_ptr(), n, &mut result, &mut error) {
            0 => Ok(result),
            _ => Err(take(self.api, error)),
        }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        (self.api.close)(self.handle)
    }
}

fn take(api: &Api, error: *mut c_char) -> String {
    let text = unsafe { CStr::from_ptr(error) }.to_string_lossy().into_owned();
    (api.free_text)(error as *mut c_void);
    text
}

fn float32(data: &mut [f32], shape: &mut [i64]) -> Tensor {
    Tensor {
        data: data.as_mut_ptr() as *mut c_void, device_type: 1, device_id: 0,
        ndim: shape.len() as i32, code: 2, bits: 32, lanes: 1, shape: shape.as_mut_ptr(),
        strides: std::ptr::null_mut(), byte_offset: 0,
    }
}

fn main() -> Result<(), String> {
    let path = std::env::args().nth(1).ok_or("main LIBRARY")?;
    let model = Model::open(&path)?;
    let (mut x, mut h) = ([0.5f32; 12], [0.0f32; 12]);
    let mut shape = [3i64, 4];
    let tx = float32(&mut x, &mut shape);
    let th = float32(&mut h, &mut shape);
    let tensor = |t: &Tensor| Value { kind: 5, payload: t as *const Tensor as u64, ..NONE };
    let n = Value { kind: 2, payload: 100, ..NONE };
    let mut y = model.call(0, &[tensor(&tx), tensor(&th), n])?;
    let result = unsafe { &*(y.payload as *const Tensor) };
    let data = unsafe { std::slice::from_raw_parts(result.data as *const f32, 4) };
    println!("{} {} {} {}", data[0], data[1], data[2], data[3]);
    (model.api.release)(&mut y);
    match model.call(0, &[tensor(&tx)]) {
        Ok(_) => Err("a call with one argument has worked".to_string()),
        Err(text) => Ok(println!("refused: {}", text.lines().last().unwrap())),
    }
}
