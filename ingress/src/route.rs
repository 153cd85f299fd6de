//! Which call an address and a method stand for.

use http::Method;
use http::header::HeaderValue;

use crate::edge::overload::Class;

/// One operation of the API.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route<Op> {
    pub(crate) op: Op,
    pub(crate) method: &'static str,
    /// With parameters in braces; a call keeps the first.
    pub(crate) path: &'static str,
    /// Method and path, the label of metrics.
    pub(crate) label: &'static str,
    pub(crate) class: Class,
}

/// A table of routes, each `Op = class METHOD "path";`.
macro_rules! routes {
    ($name:ident: $op:ident { $($variant:ident = $class:ident $method:ident $path:literal;)* }) => {
        /// The operations of this listener.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum $op { $($variant,)* }

        /// Every operation with its address.
        pub(crate) const $name: &[$crate::route::Route<$op>] = &[$($crate::route::Route {
            op: $op::$variant,
            method: stringify!($method),
            path: $path,
            label: concat!(stringify!($method), " ", $path),
            class: $crate::edge::overload::Class::$class,
        },)*];
    };
}
pub(crate) use routes;

/// What stands at one address.
struct Resource {
    /// Method and index into the table.
    methods: Vec<(Method, usize)>,
    allow: HeaderValue,
}

/// Finds routes by address and method.
pub(crate) struct Router {
    paths: matchit::Router<Resource>,
}

/// What an address and a method came to.
pub(crate) enum Found<'p, 'r> {
    /// This entry of the table, with the text that stands for the parameter.
    Route(usize, &'p str),
    /// The address exists for these methods; the flag says that they were asked for (OPTIONS).
    Resource(&'r HeaderValue, bool),
    /// Nothing.
    Nothing,
}

impl Router {
    /// A router for this table.
    pub(crate) fn new<Op>(table: &[Route<Op>]) -> Self {
        let mut resources: Vec<(&'static str, Vec<(Method, usize)>)> = Vec::new();
        for (n, route) in table.iter().enumerate() {
            let method = Method::from_bytes(route.method.as_bytes()).unwrap_or(Method::GET);
            match resources.iter_mut().find(|(path, _)| *path == route.path) {
                Some((_, methods)) => methods.push((method, n)),
                None => resources.push((route.path, vec![(method, n)])),
            }
        }
        let mut paths = matchit::Router::new();
        for (path, methods) in resources {
            let allow = allowed(&methods);
            // A path that contradicts another one is a defect of the table, which its test finds.
            let _ = paths.insert(path, Resource { methods, allow });
        }
        Self { paths }
    }

    /// What this address and method stand for. HEAD is GET without the body, which hyper leaves out.
    pub(crate) fn find<'p>(&self, method: &Method, path: &'p str) -> Found<'p, '_> {
        let Ok(matched) = self.paths.at(path) else { return Found::Nothing };
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        match matched.value.methods.iter().find(|(known, _)| known == method) {
            Some((_, route)) => Found::Route(*route, matched.params.iter().next().map_or("", |(_, value)| value)),
            None => Found::Resource(&matched.value.allow, *method == Method::OPTIONS),
        }
    }
}

fn allowed(methods: &[(Method, usize)]) -> HeaderValue {
    let mut names: Vec<&str> = methods.iter().map(|(method, _)| method.as_str()).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.push("OPTIONS");
    HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static("OPTIONS"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    routes! {
        TABLE: Op {
            List = Catalogue GET "/things";
            Show = Status GET "/things/{id}";
            Drop = Hold DELETE "/things/{id}";
        }
    }

    #[test]
    fn address_and_method_lead_to_one_entry_with_its_parameter() {
        let router = Router::new(TABLE);
        assert!(matches!(router.find(&Method::GET, "/things"), Found::Route(0, "")));
        assert!(matches!(router.find(&Method::HEAD, "/things/7"), Found::Route(1, "7")));
        assert!(matches!(router.find(&Method::DELETE, "/things/7"), Found::Route(2, "7")));
        assert!(matches!(router.find(&Method::GET, "/things/"), Found::Nothing));
        assert!(matches!(router.find(&Method::GET, "/nothing"), Found::Nothing));
        assert_eq!(TABLE[2].label, "DELETE /things/{id}");
        assert_eq!(TABLE[2].op, Op::Drop);
    }

    #[test]
    fn an_address_says_which_methods_it_takes() {
        let router = Router::new(TABLE);
        let Found::Resource(allow, asked) = router.find(&Method::PUT, "/things/7") else { panic!() };
        assert_eq!((allow.to_str().unwrap(), asked), ("GET, DELETE, HEAD, OPTIONS", false));
        assert!(matches!(router.find(&Method::OPTIONS, "/things"), Found::Resource(_, true)));
    }
}
