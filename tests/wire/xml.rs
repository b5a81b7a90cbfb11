//! CIM-XML as text: calls are put together from pieces, and pieces are cut out of answers.

/// The namespace of the array.
pub const ARRAY: &str = "root/standpipe";
/// The namespace of the profiles.
pub const INTEROP: &str = "interop";

/// A request: its XML, and what its head says about it.
#[derive(Clone, Debug)]
pub struct Call {
    /// CIMMethod.
    pub method: String,
    /// CIMObject.
    pub object: String,
    /// The XML.
    pub body: String,
}

fn message(call: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\">\
         <MESSAGE ID=\"7\" PROTOCOLVERSION=\"1.0\"><SIMPLEREQ>{call}</SIMPLEREQ></MESSAGE></CIM>"
    )
}

fn local_path(namespace: &str) -> String {
    let parts = namespace.split('/');
    let parts: String = parts
        .map(|part| format!("<NAMESPACE NAME=\"{part}\"/>"))
        .collect();
    format!("<LOCALNAMESPACEPATH>{parts}</LOCALNAMESPACEPATH>")
}

/// An intrinsic operation; parameters without a name are left out.
pub fn operation(name: &str, namespace: &str, parameters: &[(&str, String)]) -> Call {
    let parameters: String = parameters
        .iter()
        .map(|(name, value)| format!("<IPARAMVALUE NAME=\"{name}\">{value}</IPARAMVALUE>"))
        .collect();
    let path = local_path(namespace);
    Call {
        method: name.into(),
        object: namespace.into(),
        body: message(&format!(
            "<IMETHODCALL NAME=\"{name}\">{path}{parameters}</IMETHODCALL>"
        )),
    }
}

/// A method of an instance of the array; `instance` is an INSTANCENAME, parameters are PARAMVALUEs.
pub fn method(name: &str, instance: &str, parameters: &[String]) -> Call {
    let (path, parameters) = (local_path(ARRAY), parameters.concat());
    Call {
        method: name.into(),
        object: format!("{ARRAY}:{}", text_path(instance)),
        body: message(&format!(
            "<METHODCALL NAME=\"{name}\"><LOCALINSTANCEPATH>{path}{instance}</LOCALINSTANCEPATH>\
             {parameters}</METHODCALL>"
        )),
    }
}

/// CLASSNAME.
pub fn class(name: &str) -> String {
    format!("<CLASSNAME NAME=\"{name}\"/>")
}

/// VALUE.
pub fn value(text: &str) -> String {
    format!("<VALUE>{text}</VALUE>")
}

/// VALUE.ARRAY.
pub fn values(texts: &[&str]) -> String {
    let texts: String = texts.iter().map(|text| value(text)).collect();
    format!("<VALUE.ARRAY>{texts}</VALUE.ARRAY>")
}

/// A PARAMVALUE with one value.
pub fn argument(name: &str, ty: &str, text: &str) -> String {
    format!("<PARAMVALUE NAME=\"{name}\" PARAMTYPE=\"{ty}\"><VALUE>{text}</VALUE></PARAMVALUE>")
}

fn reference(instance: &str) -> String {
    let path = local_path(ARRAY);
    format!(
        "<VALUE.REFERENCE><LOCALINSTANCEPATH>{path}{instance}</LOCALINSTANCEPATH></VALUE.REFERENCE>"
    )
}

/// A PARAMVALUE that refers to an instance of the array.
pub fn referring(name: &str, instance: &str) -> String {
    let reference = reference(instance);
    format!("<PARAMVALUE NAME=\"{name}\" PARAMTYPE=\"reference\">{reference}</PARAMVALUE>")
}

/// A PARAMVALUE that refers to instances of the array.
pub fn referring_to_all(name: &str, instances: &[&str]) -> String {
    let all: String = instances.iter().map(|i| reference(i)).collect();
    format!(
        "<PARAMVALUE NAME=\"{name}\" PARAMTYPE=\"reference\"><VALUE.REFARRAY>{all}\
         </VALUE.REFARRAY></PARAMVALUE>"
    )
}

/// An INSTANCENAME with one string key.
pub fn instance(class: &str, key: &str, text: &str) -> String {
    format!(
        "<INSTANCENAME CLASSNAME=\"{class}\"><KEYBINDING NAME=\"{key}\">\
         <KEYVALUE VALUETYPE=\"string\">{text}</KEYVALUE></KEYBINDING></INSTANCENAME>"
    )
}

/// Everything between two marks, marks included, each time that they occur.
fn cut<'a>(text: &'a str, from: &str, to: &str) -> Vec<&'a str> {
    let pieces = text.match_indices(from).filter_map(|(start, _)| {
        let rest = text.get(start..)?;
        rest.get(..rest.find(to)? + to.len())
    });
    pieces.collect()
}

/// The INSTANCENAMEs in an answer, as long as their keys are no references.
pub fn instances(answer: &str) -> Vec<&str> {
    cut(answer, "<INSTANCENAME", "</INSTANCENAME>")
}

/// The INSTANCENAME of that class in an answer.
pub fn instance_of(class: &str, answer: &str) -> String {
    let mark = format!("CLASSNAME=\"{class}\"");
    let found = instances(answer).into_iter().find(|i| i.contains(&mark));
    found
        .unwrap_or_else(|| panic!("{class} in {answer}"))
        .into()
}

/// The values of a property in an answer, in their order.
pub fn property<'a>(name: &str, answer: &'a str) -> Vec<&'a str> {
    let mark = format!(" NAME=\"{name}\"");
    let properties = cut(answer, "<PROPERTY ", "</PROPERTY>");
    let named = properties.into_iter().filter(|p| p.contains(&mark));
    named.flat_map(|p| inner("VALUE", p)).collect()
}

/// The text within elements of that tag.
pub fn inner<'a>(tag: &str, text: &'a str) -> Vec<&'a str> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let all = cut(text, &open, &close).into_iter();
    all.map(|piece| &piece[open.len()..piece.len() - close.len()])
        .collect()
}

/// The value of an output parameter of a method or an operation.
pub fn output<'a>(name: &str, answer: &'a str) -> Option<&'a str> {
    let mark = format!("<PARAMVALUE NAME=\"{name}\"");
    let found = cut(answer, &mark, "</PARAMVALUE>");
    inner("VALUE", found.first()?).first().copied()
}

/// The return code of a method.
pub fn returned(answer: &str) -> Option<&str> {
    let found = cut(answer, "<RETURNVALUE", "</RETURNVALUE>");
    inner("VALUE", found.first()?).first().copied()
}

/// An INSTANCENAME in the form that CIMObject has.
fn text_path(instance: &str) -> String {
    let attribute = |piece: &str, name: &str| {
        let (_, rest) = piece.split_once(&format!("{name}=\""))?;
        rest.split('"').next().map(str::to_owned)
    };
    let bindings = cut(instance, "<KEYBINDING", "</KEYBINDING>");
    let keys = bindings.iter().map(|binding| {
        let name = attribute(binding, " NAME").unwrap_or_default();
        let text = binding.split("</KEYVALUE>").next().unwrap_or_default();
        let text = text.rsplit('>').next().unwrap_or_default();
        format!("{name}=\"{text}\"")
    });
    let keys = keys.collect::<Vec<_>>().join(",");
    let class = attribute(instance, "CLASSNAME").unwrap_or_default();
    format!("{class}.{keys}")
}
